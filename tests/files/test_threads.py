"""Threads that read and write: order, how far ahead, where errors come out, and that the threads end."""

import threading
import time

import pytest

from vosedu.errors import InputError
from vosedu.files.threads import BackgroundWriter, prefetch


def alive(name):
    return [t for t in threading.enumerate() if t.name == name]


def test_prefetch_passes_items_and_errors_and_ends_its_thread():
    assert list(prefetch(range(20))) == list(range(20))

    def failing():
        yield 1
        raise InputError("frame 2 is broken")

    items = prefetch(failing())
    assert next(items) == 1  # what came before the error is not lost
    with pytest.raises(InputError, match="frame 2"):
        next(items)
    items = prefetch(iter(range(10**9)))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    items.close()
    assert not alive("vosedu-prefetch")


def test_prefetch_works_ahead_but_not_without_end():
    made, fourth = [], threading.Event()

    def items():
        for i in range(100):
            made.append(i)
            if i == 3:
                fourth.set()
            yield i

    found = prefetch(items(), depth=2)
    assert next(found) == 0
    assert fourth.wait(5)  # two in the queue, and one more that waits for its place
    time.sleep(0.15)
    assert made == [0, 1, 2, 3]
    assert list(found) == list(range(1, 100))


def test_background_writer_runs_every_call_in_order_and_waits_at_the_end():
    done = []

    def slow(i):
        time.sleep(0.01)
        done.append((i, threading.current_thread().name))

    with BackgroundWriter(depth=2) as writer:
        for i in range(7):
            writer.submit(slow, i)
    assert done == [(i, "vosedu-writer") for i in range(7)] and not alive("vosedu-writer")


def test_submit_waits_while_the_queue_is_full():
    release, done = threading.Event(), []
    with BackgroundWriter(depth=1) as writer:
        writer.submit(release.wait)
        late = threading.Thread(target=lambda: [writer.submit(done.append, i) for i in range(3)])
        late.start()
        late.join(0.2)
        assert late.is_alive() and not done
        release.set()
        late.join(5)
    assert done == [0, 1, 2]


def disk_full():
    raise OSError(28, "No space left on device", "mask.png")


def test_background_writer_reports_errors():
    with pytest.raises(InputError, match=r"mask\.png.*No space left"), BackgroundWriter() as writer:
        writer.submit(disk_full)
    with pytest.raises(ZeroDivisionError), BackgroundWriter() as writer:
        writer.submit(lambda: 1 // 0)


def test_after_an_error_nothing_more_is_written_and_the_next_submit_says_so():
    failed, done = threading.Event(), []

    def fail():
        failed.wait(5)
        disk_full()

    writer = BackgroundWriter()
    with pytest.raises(InputError, match="No space left"), writer:
        writer.submit(fail)
        writer.submit(done.append, "after")
        failed.set()
        while writer._error is None:
            time.sleep(0.01)
        with pytest.raises(InputError, match="No space left"):
            writer.submit(done.append, "later")
    assert done == [] and not alive("vosedu-writer")


def test_an_error_of_the_block_goes_before_that_of_the_writer():
    with pytest.raises(KeyError, match="block"), BackgroundWriter() as writer:
        writer.submit(disk_full)
        raise KeyError("block")
    assert not alive("vosedu-writer")
