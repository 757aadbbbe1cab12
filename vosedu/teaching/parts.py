"""The parts of an engine that a student can write: which they are, whose each is, and what is seen of it at work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import loss
from ..aggregation import aggregate
from ..evaluation.metrics import jaccard
from ..solver import conjugate_gradient
from .kept import load

AGREES = 1e-3
"""Largest difference from the project's own function, relative to its largest value, that counts as the same."""
COMPARED = 4
"""Calls of a part, the first ones, that are compared with the project's own function."""
SENSITIVE = {"conjugate_gradient", "gauss_newton"}
"""Parts that are not compared: on the real problem, in float32, rounding alone moves what they give by several per cent."""


def normal_product(w1: Tensor, w2: Tensor, d1: Tensor, d2: Tensor, normal: Callable, decay: tuple) -> tuple[Tensor, Tensor]:
    """JᵀJp of eq. (3) in both layers; the arguments of exercise 10.1."""
    moved = normal(w2 @ d1 + d2 @ w1)
    return w2.T @ moved + decay[0] * d1, moved @ w1.T + decay[1] * d2


def gauss_newton(w: Tensor, linearise: Callable, counts: list[int], solve: Callable) -> Tensor:
    """Eq. (3), step by step; the arguments of exercise 10.2."""
    for count in counts:
        gradient, product = linearise(w)
        w = w + solve(product, -gradient, count)
    return w


def insertion(gamma: Tensor, newest: float, capacity: int, eta: float) -> tuple[int, Tensor, float]:
    """The rule of Section 3.4 for one more sample; the arguments of exercise 10.3."""
    slot = len(gamma) if len(gamma) < capacity else int(gamma.argmin())
    gamma = F.pad(gamma, (0, int(slot == len(gamma))))
    gamma[slot] = newest / (1 - eta)
    gamma = gamma / gamma.sum()
    return slot, gamma, float(gamma[slot])


def channel_attention(deeper: Tensor, shallower: Tensor, gate: Callable) -> Tensor:
    """The CAB of Section 3.2; the arguments of exercise 05.1."""
    averages = torch.cat([shallower.mean((2, 3)), deeper.mean((2, 3))], dim=1)
    up = F.interpolate(deeper, size=shallower.shape[2:], mode="bilinear", align_corners=False)
    return shallower * gate(averages).sigmoid()[..., None, None] + up


def target_encoder(x: Tensor, scores: Tensor, project: list, mix: list) -> tuple[Tensor, Tensor]:
    """The TSE of Section 3.2, for one object; the arguments of exercise 05.3."""
    projected = F.conv2d(F.conv2d(x, *project[0]).relu(), *project[1])
    both = torch.cat([projected, F.interpolate(scores, size=x.shape[2:], mode="bilinear", align_corners=False)], dim=1)
    for weight, bias in mix:
        both = F.conv2d(both, weight, bias, padding=1).relu()
    return both, projected


def residual_block(inputs: Tensor, project: tuple, first: tuple, norm: Callable, second: tuple) -> Tensor:
    """The RRB of Section 3.2; the arguments of exercise 05.4."""
    base = F.conv2d(inputs, *project)
    return (base + F.conv2d(norm(F.conv2d(base, *first, padding=1)).relu(), *second, padding=1)).relu()


def refinement_level(x: Tensor, scores: Tensor, deeper: Tensor | None, encode: Callable, first: Callable, attention: Callable,
                     second: Callable) -> Tensor:
    """One level of eq. (5); the arguments of exercise 05.5."""
    encoded, projected = encode(x, scores)
    return second(attention(projected.mean((2, 3), keepdim=True) if deeper is None else deeper, first(encoded)))


OWN: dict[str, Callable] = {
    "pixel_weights": loss.pixel_weights,
    "normal_product": normal_product,
    "conjugate_gradient": lambda apply, b, count: conjugate_gradient(lambda p: apply(p[0])[None], b[None], count)[0],
    "gauss_newton": gauss_newton,
    "insertion": insertion,
    "channel_attention": channel_attention,
    "target_encoder": target_encoder,
    "residual_block": residual_block,
    "refinement_level": refinement_level,
    "soft_aggregation": aggregate,
    "jaccard": jaccard,
}
"""The project's own function for every part, by the name of its exercise."""


@dataclass
class Part:
    """One function of the engine, and what was seen of it.

    Attributes:
        name: of the exercise.
        given: the student's function, or the project's where there is none.
        own: the project's.
        function: that is used: what was given, until it fails.
        calls: so far.
        seconds: in it, less those in parts that it calls.
        difference: the largest from `own` in the calls that were compared, relative to the largest value; NaN: none was.
        fault: what went wrong, in words, or "".
    """

    name: str
    given: Callable
    own: Callable
    function: Callable
    calls: int = 0
    seconds: float = 0.0
    difference: float = float("nan")
    fault: str = ""


def load_parts(folder: Path | str) -> dict[str, Callable]:
    """The functions that a student's folder has for the parts of the engine, by name.

    Raises:
        InputError: a file in it cannot be run.
    """
    found = {name: load(name, Path(folder)) for name in OWN}
    return {name: function for name, function in found.items() if function is not None}


class Parts:
    """The parts of an engine: called by name, timed, and compared with the project's own.

    A part that raises an error, or whose answer has another shape, is replaced by the project's from then on.

    Args:
        functions: by name; what is missing is the project's own.
    """

    def __init__(self, functions: dict[str, Callable] | None = None):
        functions = functions or {}
        self.table = {name: Part(name, functions.get(name, own), own, functions.get(name, own)) for name, own in OWN.items()}
        self._inner: list[float] = []  # seconds in parts that were called by the parts now running, outermost first
        self._aside = False  # whether the project's own function runs, in the place of a part or beside it

    def __getattr__(self, name: str) -> Callable:
        part = self.__dict__["table"].get(name)
        if part is None:
            raise AttributeError(name)
        return lambda *inputs: self._call(part, inputs)

    def _call(self, part: Part, inputs: tuple) -> object:
        if self._aside:
            return self._uncounted(part, inputs)
        compared = part.calls < COMPARED and part.function is not part.own and part.name not in SENSITIVE
        copies = [x.clone() if isinstance(x, Tensor) else x for x in inputs] if compared else inputs
        with self._timed(part):
            try:
                found = part.function(*inputs)
            except Exception as error:  # whatever a student's function does, the video goes on
                return self._give_up(part, f"stops with {type(error).__name__}: {error}", copies)
        if compared:
            gap = difference(found, self._own(part, copies))
            if gap is None:
                return self._give_up(part, "its answer has another shape", copies)
            part.difference = gap if np.isnan(part.difference) else max(gap, part.difference)
            if not gap <= AGREES:
                part.fault = f"wrong: off by {100 * gap:.1f} %" if np.isfinite(gap) else "wrong: not finite"
        return found

    def _give_up(self, part: Part, fault: str, inputs: tuple | list) -> object:
        part.fault, part.function = f"{fault}; the engine's from then on", part.own
        return self._own(part, inputs)

    def _own(self, part: Part, inputs: tuple | list) -> object:
        """What the project's own function gives; the parts that it calls are neither counted nor compared."""
        before, self._aside = self._aside, True
        try:
            return part.own(*inputs)
        finally:
            self._aside = before

    def _uncounted(self, part: Part, inputs: tuple) -> object:
        try:
            return (part.function if part.calls else part.own)(*inputs)  # one that was never seen at work may give anything
        except Exception:  # as above
            return part.own(*inputs)

    @contextmanager
    def _timed(self, part: Part) -> Iterator[None]:
        self._inner.append(0.0)
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            part.calls, part.seconds = part.calls + 1, part.seconds + took - self._inner.pop()
            if self._inner:
                self._inner[-1] += took


def difference(found: object, right: object) -> float | None:
    """The largest difference of two answers, relative to the largest value of the right one; None: they do not compare.

    Args:
        found, right: tensors, arrays, numbers, or tuples of these.
    """
    if isinstance(right, tuple):
        if not isinstance(found, (tuple, list)) or len(found) != len(right):
            return None
        gaps = [difference(a, b) for a, b in zip(found, right, strict=True)]
        return None if None in gaps else max(gaps, key=lambda gap: np.inf if np.isnan(gap) else gap)
    try:
        a, b = (torch.as_tensor(x).detach().double() for x in (found, right))
    except (TypeError, ValueError, RuntimeError):
        return None
    if a.shape != b.shape:
        return None
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-12))
