"""What tests of processes wait for and look at."""

import time

import psutil


def wait_until(condition, process=None, seconds=120):
    """Return what a condition gives once it holds; it must before the time is over and the process has ended."""
    deadline = time.monotonic() + seconds
    while not (there := condition()):
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return there


def kernels_below(process):
    """List the kernels below a process: started by their command, or forked from a server, whose command they share."""
    below = psutil.Process(process.pid).children(recursive=True)
    try:
        commands = {one.pid: " ".join(one.cmdline()) for one in below}
        servers = {pid for pid, command in commands.items() if "poseemo_lib.studies.warm_kernels" in command}
        return [one for one in below if "ipykernel" in commands[one.pid] or one.ppid() in servers]
    except psutil.NoSuchProcess:  # it went meanwhile
        return []
