"""Whether the networks compute in float32 or in bfloat16; the paper says nothing of it. D and its solver keep float32."""

import json
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from ..errors import InputError

PRECISIONS = ("auto", "float32", "bfloat16")
GAIN = 1.2
"""How many times faster bfloat16 must be. Where the device multiplies in it, it is 1.5 to 2; elsewhere it is slower."""


def pick_precision(name: str, device: torch.device) -> str:
    """"float32" or "bfloat16": the name itself, or for "auto" the faster one on the device.

    It is measured once for every processor and version of PyTorch, in a tenth of a second, and noted in PyTorch's cache
    folder, so that later runs on the machine have the same answer however busy it is.

    Raises:
        InputError: no such precision, or the device cannot do it.
    """
    if name not in PRECISIONS:
        raise InputError(f"unknown precision '{name}': choose {', '.join(PRECISIONS)}")
    if device.type == "mps":
        if name == "bfloat16":
            raise InputError("precision bfloat16 is for CUDA and the CPU, and this is mps: use --precision float32")
        return "float32"
    if name != "auto":
        return name
    notes, key = Path(torch.hub.get_dir()) / "vosedu-precision.json", f"{processor(device)}, PyTorch {torch.__version__}"
    known = _read(notes)
    if known.get(key) not in PRECISIONS[1:]:
        known[key] = "bfloat16" if gain(device) >= GAIN else "float32"
        _write(notes, known)
    return known[key]


def gain(device: torch.device) -> float:
    """How many times faster a convolution like those of F and R is in bfloat16: the best of ten, in turn."""
    if device.type == "cuda":
        return _gain(device, time.perf_counter)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # then the time of this thread is all that is computed, whatever else the machine does
    try:
        return _gain(device, time.thread_time)
    finally:
        torch.set_num_threads(threads)


def _gain(device: torch.device, now: Callable[[], float]) -> float:
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    image, weight = torch.ones(1, 64, 60, 107, device=device), torch.ones(64, 64, 3, 3, device=device)
    with torch.inference_mode():
        for _ in range(10):
            for dtype, taken in seconds.items():
                x, w = (t.to(dtype, memory_format=torch.channels_last) for t in (image, weight))
                F.conv2d(x, w, padding=1)  # what is done once in a video, such as choosing a kernel
                _wait(device)
                begin = now()
                F.conv2d(x, w, padding=1)
                _wait(device)
                taken.append(now() - begin)
    whole, half = (min(taken) for taken in seconds.values())
    return whole / half


def processor(device: torch.device) -> str:
    """The name of what computes, as far as the system tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8")) if info.is_file() else None
    return named[1] if named else platform.processor() or platform.machine()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _read(path: Path) -> dict:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(path: Path, known: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    except OSError:
        pass  # a home that cannot be written to: it is measured again next time
