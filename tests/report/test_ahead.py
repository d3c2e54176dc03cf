"""Work in a process of its own: the same result and errors as here, also when that process dies."""

import math
import os
import subprocess
import sys
import time

import pytest

from poseemo_lib.report.ahead import Ahead, spare_cores


def pid_or_death(own):
    """Return this process's id, or die where this is another process."""
    if os.getpid() != own:
        os._exit(9)
    return own


def test_it_is_another_process_with_the_same_result():
    begun = Ahead(os.getpid)
    assert begun.result() not in (os.getpid(), 0) and begun.result() == begun.result()
    assert Ahead(math.hypot, 3, 4).result() == 5


def test_an_error_comes_here_each_time_it_is_asked():
    begun = Ahead(math.sqrt, -1)
    for _ in range(2):
        with pytest.raises(ValueError, match=r".+") as error:
            begun.result()
    with pytest.raises(ValueError) as here:  # noqa: PT011
        math.sqrt(-1)
    assert str(error.value) == str(here.value)


def test_a_process_that_dies_is_made_up_for_here():
    assert Ahead(pid_or_death, os.getpid()).result() == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux to end it")
def test_it_ends_with_its_parent():
    code = (
        "import os, time\nfrom poseemo_lib.report.ahead import Ahead\n"
        "if __name__ == '__main__':\n    work = Ahead(time.sleep, 60)\n    time.sleep(3)\n"
        "    print(work._process.pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    for _ in range(100):
        if not is_alive(child):
            return
        time.sleep(0.1)
    pytest.fail("it goes on")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_spare_cores_are_those_beside_one():
    assert 0 <= spare_cores() < os.cpu_count()
