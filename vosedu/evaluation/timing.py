"""Seconds, ratios and FLOP/s of calls that are compared side by side in one process.

What is compared runs in turn, A B A B …. Seconds differ from machine to machine and from minute to minute, so what is reported
first are ratios: their median, with the least and the greatest.
"""

import statistics
import time
from collections.abc import Callable

import torch


class Clock:
    """Wall-clock seconds of calls; on a GPU the queue is emptied before the clock is read."""

    def __init__(self, device: torch.device):
        self.device = device

    def __call__(self, call: Callable[[], object]) -> float:
        """Seconds that `call` takes."""
        self._wait()
        began = time.perf_counter()
        call()
        self._wait()
        return time.perf_counter() - began

    def in_turn(self, repeats: int, **calls: Callable[[], object]) -> dict[str, list[float]]:
        """Name -> seconds of each of `repeats` rounds, in each of which every call runs once, in the order given.

        The first call runs once more before, untimed.
        """
        next(iter(calls.values()))()
        rounds = [{name: self(call) for name, call in calls.items()} for _ in range(repeats)]
        return {name: [r[name] for r in rounds] for name in calls}

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def ratios(slow: list[float], fast: list[float]) -> dict[str, float]:
    """{"median", "least", "greatest"} of slow / fast, pair by pair: above 1 where `fast` takes fewer seconds."""
    found = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": statistics.median(found), "least": min(found), "greatest": max(found)}


def ceiling(clock: Clock, repeats: int) -> float:
    """FLOP/s of a large float32 matrix product on the clock's device: the median of `repeats` or 3, whichever is more."""
    n = 4096 if clock.device.type == "cuda" else 1536
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(0)).to(clock.device)
    return 2 * n**3 / statistics.median(clock.in_turn(max(3, repeats), product=lambda: a @ a)["product"])
