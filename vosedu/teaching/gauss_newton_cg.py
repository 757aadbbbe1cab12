"""Notebook 03: the solver, iteration by iteration.

The widget `Microscope`, the exercises `conjugate_gradient`, `linearised_filter` and `normal_stencil`.
"""

import time
from collections.abc import Callable

import cv2
import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F

from .. import solver
from ..config import Config
from ..loss import NormalForm, WeightedSamples
from ..memory import initial_gamma
from ..segmenter import FirstFrame
from ..solver import Iterate, LeastSquares, gauss_newton
from ..target_model import first_frame_problem
from .exercise import Exercise, Wrong, as_array, need
from .pictures import chart, score_picture, with_scale
from .widget import Widget


def first_order(
    problem: LeastSquares, w: torch.Tensor, optimiser: type[torch.optim.Optimizer], steps: int, **options
) -> tuple[list[float], list[float]]:
    """One of PyTorch's optimisers on a problem that `vosedu.solver` solves, for comparison.

    Args:
        problem: with `loss` and `linearise`, whose first result is half the gradient.
        w: (1, P) start, left as it is.
        options: the optimiser's, its learning rate among them.

    Returns:
        Losses before the first step and after each, and the seconds spent until there, measuring the loss left out.
    """
    w = w.clone()
    run, losses, seconds = optimiser([w], **options), [problem.loss(w).item()], [0.0]
    for _ in range(steps):
        began = time.perf_counter()
        w.grad = 2 * problem.linearise(w)[0]
        run.step()
        seconds.append(seconds[-1] + time.perf_counter() - began)
        losses.append(problem.loss(w).item())
    return losses, seconds


class Microscope(Widget):
    """The solver, iteration by iteration: D's score map on the first frame, the loss and the CG residual.

    Args:
        frame: the first frame, uint8 RGB (H, W, 3).
        samples: its first-frame samples.
        config: all numbers; the schedule of Gauss-Newton and CG among them.
        seed: of the start.

    Attributes:
        index: slider over iterations, 0 is the start.
        losses, residuals: one value per iteration; the start has no residual and repeats the first.
        steps: (Gauss-Newton step, CG iteration in it) of each, counted from 1; (0, 0) for the start.
        scores: score map (h, w) of each.
    """

    def __init__(self, frame: np.ndarray, samples: FirstFrame, config: Config, seed: int = 0):
        self.frame = frame
        gamma = initial_gamma(1, len(samples.images), config.first_weight, samples.features)
        problem, start, _ = first_frame_problem(samples.features, samples.normal(config), gamma, config, seed)
        iterates = [start]
        self.steps, self.residuals = [(0, 0)], []

        def keep(iterate: Iterate) -> None:
            iterates.append(iterate.w)
            self.steps.append((iterate.step + 1, iterate.iteration + 1))
            self.residuals.append(iterate.residual.item())

        gauss_newton(problem, start, config.gn_schedule(), keep)
        self.residuals.insert(0, self.residuals[0])
        self.losses = [problem.loss(w).item() for w in iterates]
        normal = NormalForm(*(part[:, :1] for part in samples.normal(config)))
        first = WeightedSamples(problem.samples.features[:, :1], normal, gamma[:, :1])  # less their mean where whitened
        layers = [problem.split(w) for w in iterates]
        self.scores = [first.scores(w2 @ w1 @ problem.matrix)[0, 0].cpu().numpy() for w1, w2 in layers]
        self.index = ipywidgets.IntSlider(value=len(iterates) // 4, min=0, max=len(iterates) - 1, description="iteration")
        super().__init__(
            [self.index], min(960, 2 * frame.shape[1]),
            "the score map after one iteration, and the loss and the residual of all iterations as curves",
        )

    def words(self) -> str:
        """Where in the solve it is, with loss and residual."""
        index = self.index.value
        caption = self.caption(index)
        return f"{caption[:1].upper()}{caption[1:]}: loss {self.losses[index]:,.0f}, CG residual {self.residuals[index]:,.0f}."

    def caption(self, index: int) -> str:
        """Where in the solve an iteration is."""
        return "Gauss-Newton step {}, CG iteration {}".format(*self.steps[index]) if index else "start"

    def picture(self, index: int | None = None) -> np.ndarray:
        """Score map on the left, loss above residual on the right with an iteration marked, the slider's where left out,
        and the first iteration of each Gauss-Newton step; uint8 RGB."""
        index = self.index.value if index is None else index
        left = with_scale(score_picture(self.scores[index], self.frame))
        cv2.putText(left, self.caption(index), (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        half = left.shape[0] // 2, left.shape[1]
        starts = [k for k, (_, iteration) in enumerate(self.steps) if iteration == 1]
        right = np.vstack([
            chart(np.array(self.losses), index, half, "blue: Gauss-Newton steps; loss", marks=starts),
            chart(np.array(self.residuals), index, (left.shape[0] - half[0], half[1]), "CG residual", marks=starts),
        ])
        return np.hstack([left, right])


def _conjugate_gradient(answer: Callable) -> None:
    g = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=g, dtype=torch.float64))[0]
    a = basis @ torch.diag(torch.tensor([1.0, 2, 4, 8, 16, 32], dtype=torch.float64)) @ basis.T
    b = torch.randn(6, generator=g, dtype=torch.float64)

    def product(p: torch.Tensor) -> torch.Tensor:
        return a @ torch.as_tensor(p, dtype=torch.float64)

    def exact(count: int) -> torch.Tensor:
        return solver.conjugate_gradient(lambda p: p @ a, b[None], count)[0]

    def steepest(count: int) -> torch.Tensor:
        p = torch.zeros_like(b)
        for _ in range(count):
            r = b - a @ p
            p = p + (r @ r) / (r @ (a @ r)) * r
        return p

    need(answer(product, torch.zeros_like(b), 3), torch.zeros_like(b), {},
         "With a right-hand side of zero the solution is zero, without NaN: where do you divide by it?")
    for count in (1, 3, 6):
        need(
            answer(product, b, count),
            exact(count),
            {
                "This is steepest descent: the next direction must keep a part of the last one.": steepest(count),
                "This solves A p = -b: mind the sign of the residual.": -exact(count),
                "One iteration too few." if count > 1 else "Nothing has moved.": exact(count - 1),
                "One iteration too many.": exact(count + 1),
            },
            f"After {count} iterations p is not what conjugate gradient gives; is beta the new energy over the old one?",
        )


conjugate_gradient = Exercise(
    "conjugate_gradient", _conjugate_gradient,
    ("Keep p, the residual r = b - A p and a direction d. Each iteration: one product A d, a step along d, a new d.",
     "The step's length is r·r over d·Ad. p and r change by so much of d and of Ad. The new d is r plus a multiple of the "
     "old d: the new r·r over the old one. When r·r is 0, stop."),
)


def _linearised_filter(answer: Callable) -> None:
    g = torch.Generator().manual_seed(1)
    w1, d1 = torch.randn(2, 4, 7, generator=g)
    w2, d2 = torch.randn(2, 9, 4, generator=g)
    need(
        answer(w1, w2, d1, d2),
        w2 @ d1 + d2 @ w1,
        {
            "This is the change itself; the term d2 @ d1 is of second order and does not belong to a derivative.":
                (w2 + d2) @ (w1 + d1) - w2 @ w1,
            "This moves the second layer only.": d2 @ w1,
            "This moves the first layer only.": w2 @ d1,
        },
        "w2 w1 is a product of two matrices: which rule gives the derivative of a product?",
    )


linearised_filter = Exercise(
    "linearised_filter", _linearised_filter,
    ("Put w1 + e d1 and w2 + e d2 in, multiply out, keep what is linear in e.",
     "The derivative of a product has two terms; in each one factor has moved and the other stands still."),
)


def _normal_stencil(answer: Callable) -> None:
    for rows, cells in ((32, 4), (27, 5)):
        up = F.interpolate(torch.eye(cells)[None], size=rows, mode="linear")[0].T  # (H, h)
        v = torch.linspace(0.2, 3, rows).sqrt()

        def both(weights: torch.Tensor, up: torch.Tensor = up) -> np.ndarray:
            k = up.T @ (weights[:, None] * up)
            return np.concatenate([k.diagonal(), k.diagonal(1)])

        found = answer(up, v)
        parts = [as_array(part) for part in found] if isinstance(found, (tuple, list)) else []
        if len(parts) != 2 or any(part is None or part.ndim != 1 for part in parts):
            raise Wrong("Return two vectors: the diagonal of Q, and the one beside it.")
        if len(parts[1]) == cells:
            raise Wrong("The second vector has one entry too many: a cell at the end has no neighbour on its right.")
        need(
            np.concatenate(parts),
            both(v.square()),
            {
                "This has v where Q has v squared.": both(v),
                "This has no weights.": both(torch.ones_like(v)),
            },
            "An entry of Q sums v² times the product of two columns of U: of one with itself, then with the next.",
        )


normal_stencil = Exercise(
    "normal_stencil", _normal_stencil,
    ("An entry of Q = Uᵀ V² U belongs to two columns of U. Write it as a sum over pixels, for a column with itself.",
     "For the second vector multiply each column of U, element by element, with the one on its right: slices of `up`, one "
     "without the last column, one without the first."),
)
