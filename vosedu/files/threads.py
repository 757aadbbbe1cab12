"""Threads that read and write files while frames are computed."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..errors import file_error

T = TypeVar("T")


def prefetch(items: Iterable[T], depth: int = 4) -> Iterator[T]:
    """The same items in the same order, made in a thread, up to `depth` of them before they are asked for.

    Closing the iterator, or leaving it, ends the thread.

    Raises:
        whatever making an item raised, in its place in the order.
    """
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: object) -> bool:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, value), timeout=0.05)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, daemon=True, name="vosedu-prefetch")
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()


class BackgroundWriter:
    """Runs calls that write, in their order, in a thread, so that computing goes on meanwhile. Use as a context manager.

    After a call that failed no other is run. Its error comes from the next `submit`, or at the end of the block, where an
    `OSError` has become an `InputError`. The end of the block waits for all calls.

    Args:
        depth: calls that may wait; `submit` waits while there are so many.
    """

    def __init__(self, depth: int = 8):
        self._queue: queue.Queue = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="vosedu-writer")

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._error is None:
                try:
                    job[0](*job[1:])
                except BaseException as error:
                    self._error = error

    def __enter__(self) -> "BackgroundWriter":
        self._thread.start()
        return self

    def submit(self, function: Callable[..., object], *arguments: object) -> None:
        """Queue function(*arguments).

        Raises:
            whatever an earlier call raised.
        """
        self._raise()
        self._queue.put((function, *arguments))

    def __exit__(self, kind, error, trace) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if isinstance(self._error, OSError):
            raise file_error(self._error)
        if self._error is not None:
            raise self._error
