"""How this process deals with the memory that tensors give back."""

import ctypes
import sys
from functools import cache

# <malloc.h>: from what size on a block is mapped anew each time; how much at the end goes back to the system.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAPPED, _LARGEST = 2**30, 2**31 - 1


@cache
def keep_memory() -> None:
    """Have the C library keep freed blocks for the next step, in place of handing them back to the system.

    A step of training frees what the next one asks for again. By default a block of more than 32 MiB, and often a
    smaller one, goes back, and the system clears every page of the next: up to a tenth of a step at batch 32, a
    quarter at 256, half where blocks are large. The numbers are the same; the process keeps its peak of memory until
    its end. For glibc; elsewhere nothing happens.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        # Either call ends glibc's own adaption, and the second alone would map every larger block anew: an older
        # glibc refuses the first above 32 MiB, and is then left as it was.
        if library.mallopt(_M_MMAP_THRESHOLD, _MAPPED):
            library.mallopt(_M_TRIM_THRESHOLD, _LARGEST)
