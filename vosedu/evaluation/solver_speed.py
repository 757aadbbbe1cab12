"""The engine's solver against eqs. (1) to (4) written out: seconds, end losses, memory."""

import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from .. import literal
from ..config import PAPER
from ..loss import WeightedSamples, normal_form, pixel_weights
from ..memory import initial_gamma
from ..solver import gauss_newton
from ..target_model import FirstFrameProblem, UpdateProblem, conditioning, initial_weights
from .timing import Clock, ratios

DECAY = (PAPER.projection_decay, PAPER.filter_decay)
SOLVER_SIZES = {True: (256, (15, 27), (240, 432)), False: (1024, (30, 54), (480, 854))}
"""Quick or not: channels, maps, labels."""


def random_samples(
    count: int, channels: int, size: tuple[int, int], label_size: tuple[int, int], device: torch.device | str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (K, C, h, w) of unit variance, disks as labels (K, H, W), their pixel weights and gamma (1, K)."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, channels, *size, generator=g).to(device)
    rows, columns = torch.linspace(-1, 1, label_size[0])[:, None], torch.linspace(-1, 1, label_size[1])
    centres = torch.rand(count, 2, 1, 1, generator=g) - 0.5
    y = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < 0.1).float().to(device)
    return x, y, pixel_weights(y), initial_gamma(1, count, 2.0, x)


def first_frame_pair(x: Tensor, y: Tensor, v: Tensor, gamma: Tensor) -> tuple[Callable, Callable, Callable]:
    """First-frame optimisation by the engine and by `literal`, from the same start, and eq. (2) of either's result."""
    schedule, flat = PAPER.gn_schedule(), x.flatten(2)[None]
    condition = conditioning(flat, "none")
    start = initial_weights(1, x.shape[1], PAPER.channels, torch.Generator().manual_seed(1)).to(x)
    split = FirstFrameProblem(None, condition, PAPER.channels, DECAY).split
    data = (x, y, v, gamma[0], DECAY)

    def kernels(w: Tensor) -> literal.Weights:
        w1, w2 = split(w)
        return literal.kernels(w1[0], w2[0])

    def engine() -> literal.Weights:
        samples = WeightedSamples(flat, normal_form(y[None], v[None], x.shape[-2:]), gamma)
        return kernels(gauss_newton(FirstFrameProblem(samples, condition, PAPER.channels, DECAY), start, schedule))

    return engine, lambda: literal.gauss_newton(kernels(start), schedule, *data), lambda w: literal.loss(w, *data).item()


def update_pair(x: Tensor, y: Tensor, v: Tensor, gamma: Tensor) -> tuple[Callable, Callable, Callable]:
    """The same for an update of w2 on projected features. Normal forms are made at insertion, so they are not timed."""
    normal, c = normal_form(y[None], v[None], x.shape[-2:]), x.shape[1]
    w2 = (torch.randn(9, c, generator=torch.Generator().manual_seed(2)) * (2 / (9 * c)) ** 0.5).to(x)
    data = (x, y, v, gamma[0], DECAY[1:])

    def kernel(w: Tensor) -> literal.Weights:
        return (w.view(9, c).T.reshape(1, c, 3, 3),)

    def engine() -> literal.Weights:
        problem = UpdateProblem(WeightedSamples(x.flatten(2)[None], normal, gamma), DECAY[1])
        return kernel(gauss_newton(problem, w2.reshape(1, -1), [PAPER.cg_update]))

    return (engine, lambda: literal.gauss_newton(kernel(w2), [PAPER.cg_update], *data),
            lambda w: literal.loss(w, *data).item())


def solver(clock: Clock, quick: bool, repeats: int) -> dict:
    """the engine against eqs. (1) to (4) in the usual form: seconds, their ratio, end losses, FLOP/s, bytes."""
    channels, size, label_size = SOLVER_SIZES[quick]
    found = {}
    cases = (("first frame", first_frame_pair, PAPER.samples, channels, PAPER.gn_schedule()),
             ("update", update_pair, PAPER.capacity, PAPER.channels, [PAPER.cg_update]))
    for name, make, count, features, schedule in cases:
        x, y, v, gamma = random_samples(count, features, size, label_size, clock.device)
        engine, usual, loss = make(x, y, v, gamma)
        ends: dict[str, literal.Weights] = {}
        seconds = clock.in_turn(repeats, engine=lambda f=engine, ends=ends: ends.update(engine=f()),
                                usual=lambda f=usual, ends=ends: ends.update(usual=f()))
        # a product, and the gradient with which each Gauss-Newton step begins, filter and correlate with 9 taps
        flops = (sum(schedule) + len(schedule)) * 2 * 2 * 9 * x.numel()
        found[name] = {
            "samples": count, "channels": features, "maps": size, "labels": label_size, "seconds": seconds,
            "times faster": ratios(seconds["usual"], seconds["engine"]),
            "end loss": {who: loss(w) for who, w in ends.items()},
            "FLOP/s": flops / statistics.median(seconds["engine"]),
        }
    normal = normal_form(y[None], v[None], size)
    kept = {"engine": x.nbytes + sum(part.nbytes for part in normal), "usual": x.nbytes + y.nbytes + v.nbytes}
    found["memory of an object"] = {"bytes": kept, "times smaller": kept["usual"] / kept["engine"]}
    return found


def samples_sweep(clock: Clock, quick: bool, repeats: int) -> dict:
    """Seconds of a first-frame optimisation over the number of samples, at teaching size."""
    counts = (5, 10, 20) if quick else (5, 10, 20, 40, 80)
    found = {}
    for count in counts:
        engine, usual, _ = first_frame_pair(*random_samples(count, *SOLVER_SIZES[True], clock.device))
        found[count] = {k: statistics.median(v) for k, v in clock.in_turn(repeats, engine=engine, usual=usual).items()}
    return found
