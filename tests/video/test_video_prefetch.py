"""Videos read ahead by a thread: in order, no more than wanted, nothing left behind."""

import gc
import os
import threading
import time

import pytest
from made_videos import GREYS, make_video

from poseemo_lib.errors import FormatError
from poseemo_lib.video.frames import Frame, prefetch, read_frames


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_prefetch_gives_the_same_items_in_order():
    assert list(prefetch(iter(range(100)), n=3)) == list(range(100))
    assert list(prefetch([])) == [] and not threads()


def test_prefetch_raises_what_its_source_raised_after_the_items_before_it():
    def source():
        yield 1
        yield 2
        raise FormatError("broken")

    items = prefetch(source())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(FormatError, match="broken"):
        next(items)
    assert not threads()


def test_prefetch_is_not_more_than_n_ahead_and_leaves_no_thread():
    made, closed = [], []

    def source():
        try:
            for i in range(1000):
                made.append(i)
                yield i
        finally:
            closed.append(threading.current_thread().name)

    items = prefetch(source(), n=3)
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # given, waiting, and one in the hand of the thread
    items.close()
    assert closed == ["prefetch_0"] and not threads()
    items = prefetch(source(), n=3)
    next(items)
    del items
    gc.collect()
    assert not threads() and len(closed) == 2


def test_a_video_that_is_left_early_is_closed(tmp_path):
    path = make_video(tmp_path / "a.mp4", GREYS)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        frames = prefetch(read_frames(path))
        assert isinstance(next(frames), Frame)
        frames.close()
    assert len(os.listdir("/proc/self/fd")) <= before and not threads()
