import platform
import subprocess
import sys

import pytest

from poseemo_lib.training import memory

CODE = """
import resource, sys, torch
from poseemo_lib.training.memory import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def step():
    return [torch.zeros(12_000_000) for _ in range(3)]
for _ in range(12):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_are_used_again_and_the_system_clears_no_page():
    """144 MB a step are 35,000 pages; the first steps find the places."""
    plain, kept = (
        int(subprocess.run([sys.executable, "-c", CODE, how], check=True, capture_output=True, text=True).stdout)
        for how in ("plain", "keep")
    )
    assert plain > 10_000 and kept < 100


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is asked for elsewhere")
@pytest.mark.parametrize(("accepts", "calls"), [(1, 2), (0, 1)])
def test_a_library_that_refuses_the_first_wish_is_left_as_it_was(monkeypatch, accepts, calls):
    asked = []

    class Library:
        def mallopt(self, *wish):
            asked.append(wish)
            return accepts

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Library())
    memory.keep_memory.__wrapped__()
    assert len(asked) == calls
