import threading
import time

import pytest

from poseemo_lib.inference.mailbox import Mailbox


def test_the_newest_thing_replaces_the_one_before():
    box = Mailbox()
    assert all(box.put(number) for number in range(5))
    assert box.get() == 4 and box.dropped == 4
    assert box.get(timeout=0.01) is None and not box.done


def test_what_is_dropped_can_leave_something_behind():
    box = Mailbox(merge=lambda dropped, newer: (newer[0], dropped[1] or newer[1]))
    for thing in (("a", False), ("b", True), ("c", False)):
        box.put(thing)
    assert box.get() == ("c", True)
    box.put(("d", False))
    assert box.get() == ("d", False)


def test_without_dropping_everything_arrives_in_order():
    box = Mailbox(drop=False)

    def produce():
        for number in range(200):
            box.put(number)
        box.close()

    thread = threading.Thread(target=produce)
    thread.start()
    assert list(box) == list(range(200)) and box.dropped == 0 and box.done
    thread.join(5)
    assert not thread.is_alive()


def test_what_lies_there_is_taken_before_the_end_and_its_error():
    box = Mailbox()
    box.put(1)
    box.close(ValueError("camera"))
    box.close(KeyError("later"))
    assert not box.done
    things = iter(box)
    assert next(things) == 1
    with pytest.raises(ValueError, match="camera"):
        next(things)
    assert box.get() is None and box.done and not box.put(2)


def test_closing_frees_who_waits_at_either_side():
    full, empty = Mailbox(drop=False), Mailbox()
    full.put(1)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(full.put(2))),
        threading.Thread(target=lambda: answers.append(empty.get())),
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert not answers
    full.close()
    empty.close()
    for thread in threads:
        thread.join(5)
    assert sorted(map(str, answers)) == ["False", "None"]
