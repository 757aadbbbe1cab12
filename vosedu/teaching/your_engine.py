"""Notebook 10: the exercises that are still missing for an engine, and the engine that a student's functions make."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..files.clip import Clip
from ..loss import NormalForm
from ..memory import Memory
from ..pipeline import track
from ..protocols import Engine
from ..segmenter import Segmenter
from ..solver import conjugate_gradient
from . import evaluation, gauss_newton_cg, inference_and_updating, parts, refinement, weighted_l2_loss
from .assembled import Assembled
from .exercise import Exercise, Wrong, need
from .kept import FOLDER

SLOW = 3.0
"""A part that takes so many times as long as the engine's counts as slow."""
TOO_SHORT = 0.05
"""Seconds below which no part counts as slow: what is measured is the clock."""


def _normal_product(answer: Callable) -> None:
    g = torch.Generator().manual_seed(6)
    w1, d1 = torch.randn(2, 4, 7, generator=g)
    w2, d2 = torch.randn(2, 9, 4, generator=g)
    left, right = (x @ x.T for x in (torch.randn(9, 9, generator=g), torch.randn(7, 7, generator=g)))
    decay = (0.3, 2.0)

    def normal(taps: Tensor) -> Tensor:
        return left @ torch.as_tensor(taps, dtype=torch.float32) @ right

    def product(moved: Tensor, decay: tuple[float, float]) -> tuple[Tensor, Tensor]:
        found = normal(moved)
        return w2.T @ found + decay[0] * d1, found @ w1.T + decay[1] * d2

    found, moved = answer(w1, w2, d1, d2, normal, decay), w2 @ d1 + d2 @ w1
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Wrong("Return two parts: (c, C) for w1, and (9, c) for w2.")
    wrong = {
        "The regularisers are missing: lambda_j times the change of layer j.": product(moved, (0.0, 0.0)),
        "The two lambdas are exchanged.": product(moved, decay[::-1]),
        "The residual holds sqrt(lambda_j) w_j, and J has that root; JᵀJ has lambda_j itself.":
            product(moved, (decay[0] ** 0.5, decay[1] ** 0.5)),
        "The filter moves by w2 d1 as well.": product(d2 @ w1, decay),
        "The filter moves by d2 w1 as well.": product(w2 @ d1, decay),
        "That is Jᵀ at w itself: J is applied to (d1, d2).": product(w2 @ w1, decay),
    }
    for layer, expected in enumerate(product(moved, decay)):
        need(found[layer], expected, {text: example[layer] for text, example in wrong.items()},
             f"The part for w{layer + 1} is wrong: go through J (the change of the filter), `normal`, and Jᵀ.")


normal_product = Exercise(
    "normal_product", _normal_product,
    ("Three stations: how the filter moves (exercise 03.2), what `normal` makes of that, and back to each layer (notebook 03, "
     "section 5).",
     "With g the result of `normal`, a (9, C) matrix: which product with w2 has the shape of w1, which with w1 that of w2? "
     "Then the regularisers."),
)


def _curved(w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Jᵀr and p -> JᵀJp of r(w) = (w0 w1 - 1, w0 - 2 w2, w2 + w1 - 3, w0² / 4)."""
    w = torch.as_tensor(w, dtype=torch.float64)
    zero = w.new_zeros(())
    r = torch.stack([w[0] * w[1] - 1, w[0] - 2 * w[2], w[2] + w[1] - 3, w[0] ** 2 / 4])
    jacobian = torch.stack([torch.stack([w[1], w[0], zero]), w.new_tensor([1.0, 0, -2]), w.new_tensor([0.0, 1, 1]),
                            torch.stack([w[0] / 2, zero, zero])])
    return jacobian.T @ r, lambda p: jacobian.T @ (jacobian @ torch.as_tensor(p, dtype=torch.float64))


def _solve(apply: Callable, b: Tensor, count: int) -> Tensor:
    """The engine's conjugate gradient for one right-hand side."""
    b = torch.as_tensor(b, dtype=torch.float64)
    return conjugate_gradient(lambda p: apply(p[0])[None], b[None], count)[0]


def _gauss_newton(answer: Callable) -> None:
    start, counts = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64), [1, 3, 2]
    gradient, product = _curved(start)
    once = start.clone()
    for count in counts:
        once = once + _solve(product, -gradient, count)
    need(
        answer(start, _curved, counts, _solve),
        parts.gauss_newton(start, _curved, counts, _solve),
        {
            "It goes uphill: the right-hand side is minus the gradient.":
                parts.gauss_newton(start, _curved, counts, lambda a, b, n: -_solve(a, b, n)),
            "The problem is linearised once only: each step asks for the bowl at the present w.": once,
            "Each step has a count of its own.": parts.gauss_newton(start, _curved, [counts[0]] * 3, _solve),
            "Only the first step was made.": parts.gauss_newton(start, _curved, counts[:1], _solve),
            "That is the last step alone: add it to w.":
                parts.gauss_newton(start, _curved, counts, _solve) - parts.gauss_newton(start, _curved, counts[:2], _solve),
        },
        "For each count: linearise at the present w, solve JᵀJ p = -Jᵀr with so many iterations, add p.",
    )


gauss_newton = Exercise(
    "gauss_newton", _gauss_newton,
    ("A loop over `counts`; what is inside it does not know how many steps there are.",
     "`linearise` gives both sides of the equation for the step, but for a sign; `solve` takes them as `my_cg` does."),
)


def _insertions(gamma: Tensor, capacity: int, eta: float, count: int) -> list[tuple[int, Tensor, float]]:
    """What the engine's memory does with `count` insertions: the slot, the weights and the newest of them after each."""
    blank = NormalForm(*(torch.zeros(1, len(gamma), 1) for _ in NormalForm._fields))
    memory, found = Memory(torch.zeros(1, len(gamma), 1, 1), blank, gamma[None], capacity, eta), []
    for mark in range(1, count + 1):
        memory.insert(torch.full((1, 1, 1), float(mark)), NormalForm(*(part[:, 0] for part in blank)), torch.tensor([True]))
        slot = int((memory.projected[0, :, 0, 0] == mark).nonzero())
        found.append((slot, memory.samples()[2][0].clone(), memory.newest.item()))
    return found


def _insertion(answer: Callable) -> None:
    for gamma, capacity, eta in ((torch.tensor([0.5, 0.25, 0.25]), 6, 0.1), (torch.tensor([0.4, 0.2, 0.2, 0.2]), 6, 0.3)):
        newest = eta
        for slot, right, then in _insertions(gamma, capacity, eta, 5):
            found = answer(gamma, newest, capacity, eta)
            if not isinstance(found, (tuple, list)) or len(found) != 3:
                raise Wrong("Return three things: the slot, the weights, and the newest weight.")
            plain = torch.cat([gamma, torch.zeros(1)])[: max(slot + 1, len(gamma))]
            plain[slot] = newest / (1 - eta)
            need(found[0], slot, {"It is the newest that goes: the sample of least weight should.": len(gamma) - 1,
                                  "The first slot is not always the least.": 0},
                 f"With {len(gamma)} samples and room for {capacity} the slot should be {slot}.")
            need(found[1], right, {"The weights do not sum to one: normalise.": plain},
                 "The new weight is the newest one of before over (1 - eta); the others keep their ratios.")
            need(found[2], then, {"Read the newest weight off after all were normalised.": newest / (1 - eta)},
                 "The third is the weight of the sample that was just inserted.")
            gamma, newest = right, then


insertion = Exercise(
    "insertion", _insertion,
    ("Is there room? Then the slot is the one after the last, and the weights become one longer. Else ask which is least.",
     "Set the new weight before you normalise, and read the newest one off afterwards."),
)


class _Reader(nn.Module):
    """A network of three numbers: logits = a · features + b · scores + c."""

    def __init__(self):
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor([0.5, -1.0, 0.2]))

    def forward(self, features: Tensor, scores: Tensor) -> Tensor:
        """Maps of one shape -> the same shape."""
        return self.numbers[0] * features + self.numbers[1] * scores + self.numbers[2]


def _training_step(answer: Callable) -> None:
    g = torch.Generator().manual_seed(8)
    features, scores = torch.randn(2, 3, 5, 4, generator=g)
    masks = (torch.rand(3, 5, 4, generator=g) > 0.6).float()

    def after(steps: int, forget: bool = True, reduction: str = "mean") -> tuple[list[float], Tensor]:
        """Losses before each of some steps, and the parameters after them."""
        network, losses, total = _Reader(), [], 0
        optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
        for _ in range(steps):
            loss = F.binary_cross_entropy_with_logits(network(features, scores), masks, reduction=reduction)
            (gradient,) = torch.autograd.grad(loss, network.numbers)
            total = gradient if forget else total + gradient
            network.numbers.grad = total.clone()
            optimiser.step()
            losses.append(loss.item())
        return losses, network.numbers.detach()

    network = _Reader()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    with torch.enable_grad():
        found = [answer(network, optimiser, features, scores, masks) for _ in range(2)]
    losses, right = after(2)
    need(network.numbers, right, {
        "No parameter has moved: backward, then optimiser.step().": _Reader().numbers,
        "Gradients of the step before are still in it: zero_grad.": after(2, forget=False)[1],
        "The loss is the mean over pixels, not the sum.": after(2, reduction="sum")[1],
        "These are two steps per call.": after(4)[1],
    }, "After two calls the parameters are not those of two steps down the mean cross-entropy.")
    for n, value in enumerate(found):
        need(value, losses[n], {"That is the loss after the step; return that before it.": after(3)[0][n + 1]},
             "Return the mean cross-entropy before the step, a number.")


training_step = Exercise(
    "training_step", _training_step,
    ("Four things in their order: the loss, old gradients away, backward, the optimiser's step.",
     "Your cross-entropy of exercise 07.2 gives a loss per pixel; its mean is what goes backward."),
)


PART_EXERCISES = {
    "pixel_weights": weighted_l2_loss.pixel_weights,
    "normal_product": normal_product,
    "conjugate_gradient": gauss_newton_cg.conjugate_gradient,
    "gauss_newton": gauss_newton,
    "insertion": insertion,
    "channel_attention": refinement.channel_attention,
    "target_encoder": refinement.target_encoder,
    "residual_block": refinement.residual_block,
    "refinement_level": refinement.refinement_level,
    "soft_aggregation": inference_and_updating.soft_aggregation,
    "jaccard": evaluation.jaccard,
}
"""The exercise of every part of the engine."""


class Run(NamedTuple):
    """What an engine made of a clip."""

    labels: list[np.ndarray]
    """uint8 (H, W) of every frame."""
    j: float
    """Mean J of the frames after the first but the last, over objects."""
    seconds: float


class Comparison(NamedTuple):
    """An engine of a student's functions, beside others on the same clip."""

    yours: Run
    same: Run
    """The same engine with the project's functions."""
    engine: Run
    """`Segmenter` with the same settings."""
    literal: Run
    """Eqs. (2) and (3) as printed, with autograd."""
    parts: dict[str, parts.Part]
    """What was seen of each part in your run."""
    usual: dict[str, parts.Part]
    """The same for the project's functions."""

    def verdict(self, name: str) -> str:
        """What is to be said of a part: right, slow, or what is wrong with it."""
        part, usual = self.parts[name], self.usual[name].seconds
        if part.given is part.own:
            return f"not yours yet: exercise {NUMBERS[name]}"
        right, text = PART_EXERCISES[name].judge(part.given)
        if not right:
            return text
        if part.fault:
            return part.fault
        if part.seconds > max(SLOW * usual, usual + TOO_SHORT):
            return f"right, and slow: {part.seconds / max(usual, 1e-9):.0f} times the engine's"
        return "right"

    def table(self) -> str:
        """Two tables in plain text: the parts, and the engines."""
        lines = [f"{'part':<19}{'whose':<14}{'calls':>6}{'seconds':>9}{'the engine':>12}  what to say of it"]
        for name, part in self.parts.items():
            whose = "the engine's" if part.given is part.own else "yours"
            lines.append(f"{name:<19}{whose:<14}{part.calls:>6}{part.seconds:>9.2f}{self.usual[name].seconds:>12.2f}"
                         f"  {self.verdict(name)}")
        lines += ["", f"{'masks from':<36}{'mean J':>7}{'seconds':>9}"]
        for text, run in (("the engine with your functions", self.yours), ("the same with our functions", self.same),
                          ("Segmenter, the engine as it ships", self.engine), ("eqs. (2) and (3) as printed", self.literal)):
            lines.append(f"{text:<36}{run.j:>7.3f}{run.seconds:>9.1f}")
        return "\n".join(lines)


NUMBERS = {"pixel_weights": "02.2", "normal_product": "10.1", "conjugate_gradient": "03.1", "gauss_newton": "10.2",
           "insertion": "10.3", "channel_attention": "05.1", "target_encoder": "05.3", "residual_block": "05.4",
           "refinement_level": "05.5", "soft_aggregation": "06.3", "jaccard": "08.1"}
"""The number of every part's exercise."""


def timed(engine: Engine, clip: Clip, jaccard: Callable, seed: int = 0) -> Run:
    """Segment a clip from its first mask, score it, and take the time.

    Args:
        engine: with the labels of the clip's objects.
        clip: with masks of all frames.
        jaccard: J of two boolean masks (H, W).
        seed: of the engine.
    """
    began = time.perf_counter()
    labels = [step.labels for step in track(engine, clip, {0: clip.masks[0]}, seed)]
    seconds = time.perf_counter() - began
    ids = [i for i in np.unique(clip.masks[0]) if i]
    j = [float(jaccard(labels[t] == i, clip.masks[t] == i)) for t in range(1, len(labels) - 1) for i in ids]
    return Run(labels, float(np.mean(j)), seconds)


def compare(segmenter: Segmenter, clip: Clip, folder: Path | str = FOLDER) -> Comparison:
    """Segment a clip with the functions that a student's folder has, the project's where it has none; and by other engines.

    Args:
        segmenter: gives F, R, the settings and the working size; a window and a protected first frame are left out.
        clip: with masks of all frames.
        folder: as `kept.keep` fills it.

    Raises:
        InputError: a file in the folder cannot be run.
    """
    mine, ours = parts.Parts(parts.load_parts(folder)), parts.Parts()
    engine = Assembled(segmenter, mine)
    yours = timed(engine, clip, mine.jaccard)
    same = timed(Assembled(segmenter, ours), clip, ours.jaccard)
    plain = segmenter.changed(config=engine.config)
    printed = Assembled(segmenter, parts.Parts(), literal_form=True)
    return Comparison(yours, same, timed(plain, clip, ours.jaccard), timed(printed, clip, ours.jaccard), mine.table, ours.table)
