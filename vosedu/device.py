"""What computes: CPU or GPU, what it is called, how long it takes, and what to do when its memory is full."""

import platform
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import torch

from .errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """"auto" is cuda, then mps, then cpu, whichever is there first; anything else is taken at its word.

    Raises:
        InputError: the device asked for is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    kind = name.split(":")[0]
    if kind not in present:
        raise InputError(f"unknown device '{name}': choose auto, cpu, cuda, cuda:0 … or mps")
    if not present[kind]:
        raise InputError(f"device '{name}' was asked for, and PyTorch {torch.__version__} finds none here: use --device cpu")
    if kind == "cuda" and ":" in name and not name.split(":")[1].isdigit():
        raise InputError(f"unknown device '{name}': write cuda:0, cuda:1 …")
    if kind == "cuda" and ":" in name and int(name.split(":")[1]) >= torch.cuda.device_count():
        raise InputError(f"device '{name}' was asked for, and there are {torch.cuda.device_count()}: use a lower number")
    return torch.device(name)


class Stopwatch:
    """Seconds per stage, added up. On CUDA it records events, so that timing never makes the host wait."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"
        self._seconds: dict[str, float] = defaultdict(float)
        self._events: deque[tuple[str, torch.cuda.Event, torch.cuda.Event]] = deque()
        self._last = self._now()

    def begin(self) -> None:
        """What comes before this belongs to no stage."""
        self._last = self._now()

    def lap(self, stage: str) -> None:
        """The time since the last `begin` or `lap` belongs to `stage`."""
        now = self._now()
        if self.cuda:
            self._events.append((stage, self._last, now))
            while len(self._events) > 1000 and self._events[0][2].query():  # over already: the sum needs no waiting
                self._collect()
        else:
            self._seconds[stage] += now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Seconds by stage so far."""
        while self._events:
            self._collect()
        return dict(self._seconds)

    def _now(self) -> "float | torch.cuda.Event":
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _collect(self) -> None:
        stage, begin, end = self._events.popleft()
        end.synchronize()
        self._seconds[stage] += begin.elapsed_time(end) / 1000


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("vosedu", "torch", "torchvision", "numpy", "opencv-python", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "from source"
    return found


def machine(device: torch.device) -> str:
    """The device in words: its name, or the number of CPU threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type}, {torch.get_num_threads()} threads"


SHORT_SIDES = (1440, 1080, 720, 480, 360, 240, 120)


@contextmanager
def out_of_memory(size: tuple[int, int]) -> Iterator[None]:
    """Turn the device's running out of memory on frames of `size` (h, w) into the setting that asks for less.

    What a frame needs goes with its area, so the message says what part of it the next lower size takes.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        lower = next((n for n in SHORT_SIDES if n < min(size)), None)
        remedy = "use --device cpu"
        if lower:
            remedy = f"use --short-side {lower} ({(lower / min(size)) ** 2:.0%} of that) and another --out, or --device cpu"
        raise InputError(f"the device ran out of memory on frames of {size[1]}x{size[0]}: {remedy}") from None
