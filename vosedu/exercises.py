"""The notebooks' exercises: each has a check that knows the usual wrong answers, and two hints."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from . import literal, metrics, segmenter, solver, target_model


class Wrong(Exception):
    """An answer is wrong; the message says in which way."""


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook.

    Attributes:
        name: what is to be written.
        test: raises `Wrong` unless the function given is right.
        hints: the second says more than the first.
    """

    name: str
    test: Callable[[Callable], None]
    hints: tuple[str, str]

    def check(self, answer: Callable) -> bool:
        """Try the answer; prints what is wrong with it, if anything, and returns whether it is right."""
        try:
            self.test(answer)
        except NotImplementedError:
            print(f"{self.name}: still to be written. {self.name}.hint(1) helps.")
        except Wrong as error:
            print(f"{self.name}: not yet. {error}")
        except Exception as error:  # whatever a half-finished function does, the student sees one line
            print(f"{self.name}: it stops with {type(error).__name__}: {error}")
        else:
            print(f"{self.name}: right.")
            return True
        return False

    def hint(self, number: int = 1) -> None:
        """Print hint 1 or 2."""
        print(self.hints[number - 1])


def _equal(found: object, expected: torch.Tensor, tolerance: float = 1e-4) -> bool:
    found = torch.as_tensor(found)
    return found.shape == expected.shape and torch.allclose(found.to(expected.dtype), expected, rtol=tolerance, atol=tolerance)


def _need(found: object, expected: torch.Tensor, wrong: dict[str, torch.Tensor], otherwise: str) -> None:
    """Raise `Wrong` with the message whose wrong answer was found, or with `otherwise`."""
    if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise Wrong(f"Expected a tensor of shape {tuple(expected.shape)}, and got {shape}.")
    if _equal(found, expected):
        return
    for message, answer in wrong.items():
        if _equal(found, answer):
            raise Wrong(message)
    raise Wrong(otherwise)


def _pixel_weights(answer: Callable) -> None:
    for rows, columns in ((3, 4), (14, 15)):  # a small target, below kappa_min, and a large one
        labels = torch.zeros(15, 16)
        labels[:rows, :columns] = 1
        right = target_model.pixel_weights(labels)
        _need(
            answer(labels, 0.1),
            right,
            {
                "This is the square of v: eq. (2) squares v itself, so v must be the square root.": right.square(),
                "This is the printed min: a target smaller than kappa_min is then never strengthened. Which of the two "
                "shares should win?": target_model.pixel_weights(labels, share_rule="min"),
                "This is the printed min, and squared: see both notes below eq. (4).": target_model.pixel_weights(
                    labels, share_rule="min", weight_power="printed"
                ),
                "Target and background are exchanged.": target_model.pixel_weights(1 - labels, 0.9),
            },
            "On the target v² should be kappa / (the target's share of the pixels), elsewhere (1 - kappa) / (the rest's).",
        )


def _conjugate_gradient(answer: Callable) -> None:
    g = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=g, dtype=torch.float64))[0]
    a = basis @ torch.diag(torch.tensor([1.0, 2, 4, 8, 16, 32], dtype=torch.float64)) @ basis.T
    b = torch.randn(6, generator=g, dtype=torch.float64)

    def product(p: torch.Tensor) -> torch.Tensor:
        return a @ p

    def exact(count: int) -> torch.Tensor:
        return solver.conjugate_gradient(lambda p: p @ a, b[None], count)[0]

    def steepest(count: int) -> torch.Tensor:
        p = torch.zeros_like(b)
        for _ in range(count):
            r = b - a @ p
            p = p + (r @ r) / (r @ (a @ r)) * r
        return p

    if not _equal(answer(product, torch.zeros_like(b), 3), torch.zeros_like(b)):
        raise Wrong("With a right-hand side of zero the solution is zero, without NaN: where do you divide by it?")
    for count in (1, 3, 6):
        _need(
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


def _linearised_filter(answer: Callable) -> None:
    g = torch.Generator().manual_seed(1)
    w1, d1 = torch.randn(2, 4, 7, generator=g)
    w2, d2 = torch.randn(2, 9, 4, generator=g)
    _need(
        answer(w1, w2, d1, d2),
        w2 @ d1 + d2 @ w1,
        {
            "This is the change itself; the term d2 @ d1 is of second order and does not belong to a derivative.":
                (w2 + d2) @ (w1 + d1) - w2 @ w1,
            "This moves the second layer only.": d2 @ w1,
            "This moves the first layer only.": w2 @ d1,
        },
        "F = w2 w1 is a product of two matrices: which rule gives the derivative of a product?",
    )


def _similarity(answer: Callable) -> None:
    g = torch.Generator().manual_seed(2)
    x, f = torch.randn(5, 3, 4, generator=g), torch.randn(5, generator=g)
    inner = torch.einsum("c,chw->hw", f, x)
    _need(
        answer(f, x),
        torch.cosine_similarity(f[:, None, None], x, dim=0),
        {
            "This is the inner product: long vectors win. Divide by both norms.": inner,
            "Divide by the norm of f too.": inner / x.norm(dim=0),
            "Divide by the norm at each position too.": inner / f.norm(),
        },
        "The channels are the first dimension of x; contract that one.",
    )


def _jaccard(answer: Callable) -> None:
    a, b = torch.zeros(2, 6, 6, dtype=torch.bool)
    a[1:5, 1:5], b[2:6, 1:6] = True, True
    pairs = [(a, b), (a, a), (a, ~a), (torch.zeros_like(a), torch.zeros_like(a))]
    for prediction, truth in pairs:
        right = metrics.jaccard(prediction.numpy(), truth.numpy())
        found = float(answer(prediction.numpy(), truth.numpy()))
        if abs(found - right) > 1e-6:
            both, either = (prediction & truth).sum().item(), (prediction | truth).sum().item()
            if either and abs(found - 2 * both / (prediction.sum() + truth.sum()).item()) < 1e-6:
                raise Wrong("This is the Dice coefficient, 2|A∩B| / (|A| + |B|); J divides by the union.")
            if either and abs(found - both / truth.sum().item()) < 1e-6:
                raise Wrong("This is recall: pixels labelled in error must lower J too.")
            if not either:
                raise Wrong("Two empty masks agree, and J is 1 there by convention.")
            raise Wrong(f"For one pair of masks it gives {found:.3f}, and J is {right:.3f}.")


def _residual_weight(answer: Callable) -> None:
    """The share of the loss that lies on the target."""
    labels = torch.zeros(12, 10)
    labels[2:4, 3:6] = 1
    for power in (0.5, 1.0):
        v = literal.pixel_weights(labels, 0.1, max, power)
        right = (v.square() * labels).sum() / v.square().sum()
        _need(
            torch.as_tensor(answer(v, labels)),
            right,
            {
                "This takes v; the loss squares it.": (v * labels).sum() / v.sum(),
                "This is the share of pixels, whatever their weight.": labels.mean(),
            },
            f"For one mask the share is {right:.3f}.",
        )


def _about(answer: Callable) -> None:
    for centre, angle, scale in (((30.0, 10.0), 0.5, 1.0), ((5.0, 40.0), -0.3, 1.5)):
        cos, sin = math.cos(angle), math.sin(angle)
        linear = scale * torch.tensor([[cos, -sin], [sin, cos]])
        c = torch.tensor(centre)
        right = torch.cat([linear, (c - linear @ c)[:, None]], dim=1)
        _need(
            torch.as_tensor(answer(centre, angle, scale)),
            right,
            {
                "This turns about the origin, the image's corner: the centre moves.": torch.cat(
                    [linear, torch.zeros(2, 1)], dim=1
                ),
                "The centre is added, but not taken away before: b = c - A c.": torch.cat([linear, c[:, None]], dim=1),
                "This turns the other way round.": torch.cat([linear.T, (c - linear.T @ c)[:, None]], dim=1),
            },
            "A is scale times the rotation [[cos, -sin], [sin, cos]]; b must leave the centre where it is.",
        )


def _channel_attention(answer: Callable) -> None:
    g = torch.Generator().manual_seed(3)
    deeper, shallower = torch.randn(1, 64, 2, 3, generator=g), torch.randn(1, 64, 4, 6, generator=g)
    weight = torch.randn(64, 128, generator=g) * 0.3

    def gate(averages: torch.Tensor) -> torch.Tensor:
        return averages @ weight.T

    up = F.interpolate(deeper, size=(4, 6), mode="bilinear", align_corners=False)
    means = [x.mean((2, 3)) for x in (shallower, deeper)]
    raw, swapped = gate(torch.cat(means, dim=1)), gate(torch.cat(means[::-1], dim=1))
    factors = raw.sigmoid()[..., None, None]
    _need(
        answer(deeper, shallower, gate),
        shallower * factors + up,
        {
            "The averages are in the wrong order: shallow first.": shallower * swapped.sigmoid()[..., None, None] + up,
            "The sigmoid is missing: factors lie between 0 and 1.": shallower * raw[..., None, None] + up,
            "The upsampled deeper map is not added.": shallower * factors,
            "Only the shallower map is gated, not the sum.": (shallower + up) * factors,
        },
        "Gate the shallower channels with the sigmoid of gate(averages), then add the deeper map, upsampled bilinearly.",
    )


def _cross_entropy(answer: Callable) -> None:
    logits = torch.tensor([[-200.0, -3.0, 0.0], [0.5, 4.0, 200.0]])
    for labels in (torch.tensor([[1.0, 0, 1], [0, 1, 0]]), torch.tensor([[0.0, 1, 0], [1, 0, 1]])):
        found = answer(logits, labels)
        right = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        if isinstance(found, torch.Tensor) and not torch.isfinite(found).all():
            raise Wrong("For a logit of ±200 it is not finite: never take the logarithm of a probability.")
        _need(
            found,
            right,
            {
                "The sign is wrong: the loss is positive.": -right,
                "Labels are exchanged.": F.binary_cross_entropy_with_logits(logits, 1 - labels, reduction="none"),
                "It is clamped: the loss of a logit of 200 on the wrong side is 200.": right.clamp_max(100),
            },
            "max(l, 0) - l y + log(1 + exp(-|l|)): which term differs?",
        )


def _weights_after(count: int, eta: float, normalise: bool = True, start: float | None = None) -> torch.Tensor:
    # normalising after each insertion scales all weights alike, so once at the end is the same
    first = eta if start is None else start
    weights = torch.tensor([1.0] + [first / (1 - eta) ** n for n in range(1, count + 1)])
    return weights / weights.sum() if normalise else weights


def _memory_weights(answer: Callable) -> None:
    for count, eta in ((1, 0.1), (4, 0.1), (12, 0.3)):
        plain = _weights_after(count, eta, normalise=False)
        _need(
            torch.as_tensor(answer(count, eta)),
            _weights_after(count, eta),
            {
                "The weights do not sum to one: normalise.": plain,
                "The first insertion is set against gamma_0 = eta, not against the first sample's weight of 1.":
                    _weights_after(count, eta, start=1.0),
                "These are oldest last; oldest first, please.": _weights_after(count, eta).flip(0),
            },
            f"For {count} insertions and eta {eta} the newest should weigh {_weights_after(count, eta)[-1]:.4f}.",
        )


def _soft_aggregation(answer: Callable) -> None:
    p = torch.tensor([0.9, 0.6, 0.2, 0.5])[:, None, None].expand(4, 2, 3)[:2].clone()
    p[:, 1] = torch.tensor([[0.3], [0.05]])
    everyone = torch.cat([(1 - p).prod(dim=0, keepdim=True), p])
    odds = everyone / (1 - everyone)
    _need(
        answer(p),
        segmenter.aggregate(p),
        {
            "Probabilities were normalised; the formula has odds, p / (1 - p).": everyone / everyone.sum(dim=0),
            "This is a softmax over the odds themselves; it is one over their logarithms.": odds.softmax(dim=0),
            "The background comes first.": segmenter.aggregate(p).roll(-1, dims=0),
        },
        "Background: the product of (1 - p_n). Then each one's odds over the sum of all odds, the background's among them.",
    )


jaccard = Exercise(
    "jaccard", _jaccard,
    ("Count the pixels in both masks, and the pixels in at least one.",
     "On boolean arrays: (a & b).sum() / (a | b).sum(); and think of two empty masks."),
)
similarity = Exercise(
    "similarity", _similarity,
    ("Contract the channels of x with f, then divide by the norm of f and by the norm at each position.",
     'torch.einsum("c,chw->hw", f, x) / (f.norm() * x.norm(dim=0))'),
)
pixel_weights = Exercise(
    "pixel_weights", _pixel_weights,
    ("labels.mean() is the target's share of the image. kappa is the larger of that and target_share.",
     "v² = kappa / share on the target and (1 - kappa) / (1 - share) elsewhere; torch.where puts both together."),
)
loss_share = Exercise(
    "loss_share", _residual_weight,
    ("If all residuals were 1, what would the loss of eq. (2) be? And the part of it on the target?",
     "v enters the loss squared: (v² · labels).sum() / v².sum()."),
)
conjugate_gradient = Exercise(
    "conjugate_gradient", _conjugate_gradient,
    ("Keep p, the residual r = b - A p and a direction d. Each iteration: one product A d, a step along d, a new d.",
     "length = r·r / d·Ad; p += length d; r -= length Ad; beta = new r·r / old r·r; d = r + beta d. Stop where r·r is 0."),
)
linearised_filter = Exercise(
    "linearised_filter", _linearised_filter,
    ("F = w2 w1. Put w1 + e d1 and w2 + e d2 in, multiply out, keep what is linear in e.",
     "Product rule: w2 @ d1 + d2 @ w1."),
)

about = Exercise(
    "about", _about,
    ("Where does A send the centre? b must bring it back.",
     "A = scale * [[cos, -sin], [sin, cos]] and b = c - A c; np.hstack puts both together."),
)
channel_attention = Exercise(
    "channel_attention", _channel_attention,
    ("Average both maps over positions, join the averages (shallow first), and ask gate.",
     "sigmoid(gate(averages))[..., None, None] * shallower + F.interpolate(deeper, size of shallower, bilinear)."),
)
cross_entropy = Exercise(
    "cross_entropy", _cross_entropy,
    ("-log sigmoid(l) = log(1 + exp(-l)). Which sign of l makes exp(-l) overflow, and how can it be pulled out?",
     "max(l, 0) - l y + log1p(exp(-|l|))."),
)
memory_weights = Exercise(
    "memory_weights", _memory_weights,
    ("Keep the newest weight in a variable that starts at eta, though the first sample's weight is 1.",
     "Each time: append newest / (1 - eta), divide all by their sum, and read the newest weight off the result."),
)
soft_aggregation = Exercise(
    "soft_aggregation", _soft_aggregation,
    ("Put the background's probability, the product of (1 - p_n), before the others; turn all into odds.",
     "odds = p / (1 - p); odds / odds.sum(dim=0)."),
)

ALL = (
    similarity, jaccard, pixel_weights, loss_share, conjugate_gradient, linearised_filter, about, channel_attention,
    cross_entropy, memory_weights, soft_aggregation,
)
