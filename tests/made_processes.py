"""What tests of processes wait for and look at."""

import sys
import time

import psutil


def poseemo_command(*arguments):
    """Spell a `poseemo` command for a process of its own."""
    return [sys.executable, "-m", "poseemo_lib.cli", *map(str, arguments)]


def wait_until(condition, process=None, seconds=120):
    """Return what a condition gives once it holds; it must before the time is over and the process has ended."""
    deadline = time.monotonic() + seconds
    while not (there := condition()):
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return there


def children_of(process):
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes, seconds=20):
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def kernels_below(process):
    """List the kernels below a process: started by their command, or forked from a forkserver."""
    try:
        below = children_of(process)
        commands = {one.pid: " ".join(one.cmdline()) for one in below}
        servers = {pid for pid, command in commands.items() if "forkserver" in command}
        return [one for one in below if "ipykernel" in commands[one.pid] or one.ppid() in servers]
    except psutil.NoSuchProcess:  # it went meanwhile
        return []
