"""The engine's solver against eqs. (2) and (3) in the usual form, side by side in one process.

    python benchmarks/solver.py [--quick] [--repeats 3]

The usual form (`vosedu.literal`) upsamples to label resolution in every CG iteration and multiplies with the Jacobian
by double backward. Same data, start, iteration counts; seconds, their ratio and both end losses are printed. The data are
random features and a random blob: how long a fixed number of iterations takes does not depend on what they show. In the
update the usual form still differentiates through an identity w1, so that ratio flatters us a little.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch

from vosedu import PAPER, literal
from vosedu.memory import initial_gamma
from vosedu.solver import gauss_newton
from vosedu.target_model import (
    FirstFrameProblem,
    UpdateProblem,
    WeightedSamples,
    conditioning,
    initial_weights,
    normal_form,
    pixel_weights,
)

DECAY = (PAPER.projection_decay, PAPER.filter_decay)


def timed(function: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """Seconds, and what the function gave."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def data(samples: int, channels: int, size: tuple[int, int], label_size: tuple[int, int]):
    """Features (K, C, h, w) of unit variance, blob labels (K, H, W), pixel weights and gamma."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(samples, channels, *size, generator=g)
    rows = torch.linspace(-1, 1, label_size[0])[:, None]
    columns = torch.linspace(-1, 1, label_size[1])
    centres = torch.rand(samples, 2, 1, 1, generator=g) - 0.5
    y = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < 0.1).float()
    return x, y, pixel_weights(y), initial_gamma(1, samples, 2.0, x)


def first_frame(x, y, v, gamma) -> tuple[Callable, Callable, Callable]:
    """Engine, literal, and the loss of either's result; both layers."""
    schedule = PAPER.gn_schedule()

    def problem() -> FirstFrameProblem:
        flat = x.flatten(2)[None]
        normal = normal_form(y[None], v[None], x.shape[-2:])
        return FirstFrameProblem(WeightedSamples(flat, normal, gamma), conditioning(flat, "none"), PAPER.channels, DECAY)

    start = initial_weights(1, x.shape[1], PAPER.channels, torch.Generator().manual_seed(1))
    blank = FirstFrameProblem(None, conditioning(x[:1].flatten(2)[None], "none"), PAPER.channels, DECAY)

    def split(w: torch.Tensor) -> literal.Weights:
        w1, w2 = blank.split(w)
        return literal.kernels(w1[0], w2[0])

    rest = (x, y, v, gamma[0], DECAY)
    return (lambda: split(gauss_newton(problem(), start, schedule)),
            lambda: literal.gauss_newton(split(start), schedule, *rest),
            lambda w: literal.loss(w, *rest).item())


def update(x, y, v, gamma) -> tuple[Callable, Callable, Callable]:
    """The same for w2 alone, on projected features; normal forms are made when a sample is inserted, so not timed."""
    normal = normal_form(y[None], v[None], x.shape[-2:])
    c = x.shape[1]
    w2 = torch.randn(9, c, generator=torch.Generator().manual_seed(2)) * (2 / (9 * c)) ** 0.5
    start = literal.kernels(torch.eye(c), w2)
    rest = (x, y, v, gamma[0], (0.0, DECAY[1]))

    def engine() -> literal.Weights:
        problem = UpdateProblem(WeightedSamples(x.flatten(2)[None], normal, gamma), DECAY[1])
        return literal.kernels(torch.eye(c), gauss_newton(problem, w2.reshape(1, -1), [PAPER.cg_update]).view(9, c))

    return (engine, lambda: literal.gauss_newton(start, [PAPER.cg_update], *rest, frozen_projection=True),
            lambda w: literal.loss(w, *rest).item())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="240p and 256 channels")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    channels, size, label_size = (256, (15, 27), (240, 427)) if args.quick else (1024, (30, 54), (480, 854))
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads; {channels} channels, "
          f"{size[0]}x{size[1]} maps, {label_size[0]}x{label_size[1]} labels")
    for name, make, samples, features in (("first frame", first_frame, 20, channels), ("update", update, 80, PAPER.channels)):
        engine, usual, loss = make(*data(samples, features, size, label_size))
        engine()  # warm-up
        runs = [(timed(engine), timed(usual)) for _ in range(args.repeats)]
        ours, theirs = ([run[i][0] for run in runs] for i in (0, 1))
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        ends = [loss(runs[-1][i][1]) for i in (0, 1)]
        print(f"{name:12} {statistics.median(ratios):6.1f} times faster ({min(ratios):.1f} to {max(ratios):.1f}); "
              f"engine {statistics.median(ours):.3f} s, usual {statistics.median(theirs):.3f} s; "
              f"end loss {ends[0]:.6g} and {ends[1]:.6g}", flush=True)


if __name__ == "__main__":
    main()
