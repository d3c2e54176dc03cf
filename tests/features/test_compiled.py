import subprocess
import sys


def test_works_where_nothing_compiled_can_be_kept():
    code = """
import numba
real = numba.njit
def refuse(*given, cache=False, **options):
    if cache:
        raise RuntimeError("cannot cache function: no locator available")
    return real(*given, **options)
numba.njit = refuse
from poseemo_lib.features.compiled import compiled
double = compiled(lambda value: 2 * value)
assert double(2) == 4 and double.targetoptions["nogil"]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
