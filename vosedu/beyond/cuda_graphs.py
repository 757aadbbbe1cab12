"""CUDA graphs: a network's many small launches, recorded once and replayed as one.

For one frame F and R are hundreds of kernels that last microseconds, so a GPU can be done before the next is launched. A
recording holds for tensors of the same shapes; it always works on the same memory, so what goes in and out is copied.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

Function = Callable[..., tuple[Tensor, ...]]
"""Of tensors, and of keywords with anything hashable; depends on nothing else that changes."""
KEPT = 4
"""Recordings at a time: each holds the memory of a whole pass."""


def record(function: Function, *tensors: Tensor, **rest: Hashable) -> Function:
    """The launches of one call as a function of other tensors of the same shapes (CUDA only)."""
    device = tensors[0].device
    inputs, aside = [x.clone() for x in tensors], torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        function(*inputs, **rest)  # libraries choose and allocate on the first call of a stream, which cannot be recorded
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
        outputs = function(*inputs, **rest)

    def replay(*tensors: Tensor, **_: Hashable) -> tuple[Tensor, ...]:
        for mine, given in zip(inputs, tensors, strict=True):
            mine.copy_(given)
        graph.replay()
        return tuple(x.clone() for x in outputs)

    return replay


class Replayed:
    """A function that is recorded on its second call with tensors of the same shapes, and replayed from the third on.

    A recording is used once it has given what the function gives, to 1 % of its greatest value. Where it does not, or cannot
    be made, the function is called from then on as it is, and `refused` says why.

    Args:
        function: what is recorded.
        make: `record`, or what stands in its place.

    Attributes:
        refused: why nothing is replayed; empty where nothing speaks against it.
    """

    def __init__(self, function: Function, make: Callable[..., Function] = record):
        self.function, self.make, self.refused = function, make, ""
        self._recordings: dict[Hashable, Function | None] = {}

    def __call__(self, *tensors: Tensor, **rest: Hashable) -> tuple[Tensor, ...]:
        if self.refused:
            return self.function(*tensors, **rest)
        key = (*rest.values(), *((x.shape, x.stride(), x.dtype) for x in tensors))
        recording = self._recordings.get(key)
        if recording is not None:
            return recording(*tensors)
        expected = self.function(*tensors, **rest)
        if key in self._recordings:
            try:
                recording = self.make(self.function, *tensors, **rest)
                if not all(map(_alike, recording(*tensors), expected)):
                    raise RuntimeError("a replay differs from the calls that it records")
            except RuntimeError as error:  # of CUDA, out of memory among them
                self.refused, self._recordings = str(error).splitlines()[0], {}
                return expected
        self._recordings[key] = recording  # None the first time: what is called but once is not worth it
        while len(self._recordings) > KEPT:
            del self._recordings[next(iter(self._recordings))]
        return expected


def _alike(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 0.01 * b.abs().max())
