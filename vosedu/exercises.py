"""The notebooks' exercises: each has a check that knows the usual wrong answers, and two hints."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from . import literal, metrics, segmenter, solver, target_model
from .memory import Memory, initial_gamma


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
    """Raise `Wrong` with the message whose wrong answer was found, or with `otherwise`; arrays are as good as tensors."""
    found = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
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
    printed = ("This is the printed min: a target smaller than kappa_min is then never strengthened. Which of the two "
               "shares should win?")
    always = "A target larger than kappa_min is held down to it: kappa is the larger of the two shares, not always kappa_min."
    for rows, columns, smaller in ((3, 4, printed), (14, 15, always)):  # a target below kappa_min, and one above
        labels = torch.zeros(15, 16)
        labels[:rows, :columns] = 1
        right = target_model.pixel_weights(labels)
        _need(
            answer(labels, 0.1),
            right,
            {
                "This is the square of v: eq. (2) squares v itself, so v must be the square root.": right.square(),
                smaller: target_model.pixel_weights(labels, share_rule="min"),
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


def _normal_stencil(answer: Callable) -> None:
    for rows, cells in ((32, 4), (27, 5)):
        up = F.interpolate(torch.eye(cells)[None], size=rows, mode="linear")[0].T  # (H, h)
        v = torch.linspace(0.2, 3, rows).sqrt()

        def both(weights: torch.Tensor, up: torch.Tensor = up) -> torch.Tensor:
            k = up.T @ (weights[:, None] * up)
            return torch.cat([k.diagonal(), k.diagonal(1)])

        found = answer(up, v)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("Return two vectors: the diagonal of K, and the one beside it.")
        if isinstance(found[1], torch.Tensor) and found[1].shape == (cells,):
            raise Wrong("The second vector has one entry too many: a cell at the end has no neighbour on its right.")
        _need(
            torch.cat([torch.as_tensor(part) for part in found]),
            both(v.square()),
            {
                "This has v where K has v squared.": both(v),
                "This has no weights.": both(torch.ones_like(v)),
            },
            "K[i, i] sums v² U[n, i]² over pixels n, and K[i, i + 1] sums v² U[n, i] U[n, i + 1].",
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


def _principal_components(answer: Callable) -> None:
    g = torch.Generator().manual_seed(4)
    scale = torch.tensor([5.0, 3.0, 2.0, 0.5, 0.2, 0.1])
    mix = torch.linalg.qr(torch.randn(6, 6, generator=g))[0]
    x = (mix @ (scale[:, None] * torch.randn(6, 80, generator=g))).view(6, 8, 10) + 4 * torch.randn(6, 1, 1, generator=g)

    def coordinates(x: torch.Tensor, centre: bool = True, last: bool = False, unit: bool = False) -> torch.Tensor:
        flat = x.flatten(1)
        centred = flat - flat.mean(dim=1, keepdim=True) if centre else flat
        directions, size, _ = torch.linalg.svd(centred, full_matrices=False)
        found = directions.T @ centred
        found = found / size[:, None] if unit else found
        return (found[-2:] if last else found[:2]).view(2, *x.shape[1:])

    def signed(found: object) -> object:
        """A direction and its opposite are equally good: the first position is made positive."""
        if isinstance(found, torch.Tensor) and found.dim() == 3:
            return found * torch.where(found[:, :1, :1] < 0, -1.0, 1.0)
        return found

    _need(
        signed(answer(x, 2)),
        signed(coordinates(x)),
        {
            "The mean over positions is still in it: the first direction then shows the mean, not what varies.":
                signed(coordinates(x, centre=False)),
            "These are the directions in which x varies least: which end of the spectrum comes first?":
                signed(coordinates(x, last=True)),
            "These have unit length: coordinates keep how much x varies along each direction.":
                signed(coordinates(x, unit=True)),
        },
        "Each channel less its mean; the directions of most variance among the columns; the inner products with them.",
    )


def _jaccard(answer: Callable) -> None:
    a, b = torch.zeros(2, 8, 8, dtype=torch.bool)
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
            if either and abs(found - both / prediction.sum().item()) < 1e-6:
                raise Wrong("This is precision: pixels that were missed must lower J too.")
            if either and abs(found - (prediction == truth).float().mean().item()) < 1e-6:
                raise Wrong("This is accuracy: background that both leave alone does not count.")
            if not either:
                raise Wrong("Two empty masks agree, and J is 1 there by convention.")
            raise Wrong(f"For one pair of masks it gives {found:.3f}, and J is {right:.3f}.")


def _summary(answer: Callable) -> None:
    g = np.random.default_rng(0)
    for count in (11, 22):
        j = np.concatenate([[1.0], np.linspace(0.9, 0.3, count - 2) + 0.05 * g.standard_normal(count - 2), [0.05]])

        def three(values: np.ndarray) -> np.ndarray:
            return np.array(list(metrics.summarise(values).values()))

        inner, half = j[1:-1], (count - 2) // 2
        right = three(inner)
        found = np.array([float(v) for v in answer(j)])
        if found.shape != (3,):
            raise Wrong("Return three numbers: mean, recall, decay.")
        if np.allclose(found, right, atol=1e-6):
            continue
        wrong = {
            "The first frame is given, and counts.": three(j[:-1]),
            "The last frame counts; the protocol leaves it out.": three(j[1:]),
            "First and last frame count; the protocol leaves out both.": three(j),
            "Decay has the wrong sign: it is positive where J falls.": right * [1, 1, -1],
            "Decay compares halves; it is the first quarter less the last.":
                np.array([*right[:2], inner[:half].mean() - inner[-half:].mean()]),
            "Recall is the mean of the frames above 0.5; it is their share.":
                np.array([right[0], inner[inner > 0.5].mean(), right[2]]),
        }
        for message, values in wrong.items():
            if np.allclose(found, values, atol=1e-6):
                raise Wrong(message)
        names = [n for n, a, b in zip(("mean", "recall", "decay"), found, right, strict=True) if abs(a - b) > 1e-6]
        raise Wrong(f"For one curve of {count} frames {' and '.join(names)} should be otherwise: {right.round(3).tolist()}.")


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


def _visible_share(answer: Callable) -> None:
    mask = torch.zeros(40, 60)
    mask[10:20, 20:34] = 1
    maps = ([[1.5, 0.0], [0.0, 1.5]], 210.0), ([[0.8, -0.3], [0.4, 0.9]], 60.0), ([[-1.0, 0.2], [0.1, 1.0]], 90.0)
    for linear, seen in maps:
        warp, area, label = np.array([[*linear[0], 3.0], [*linear[1], -2.0]]), mask.sum().item(), torch.zeros(40, 60)
        label.view(-1)[: int(seen)] = 1
        det = linear[0][0] * linear[1][1] - linear[0][1] * linear[1][0]
        right = seen / (abs(det) * area)
        found = float(answer(mask.numpy(), label.numpy(), warp))
        for message, value in {
            "A mirrored target has no negative area: take the determinant's absolute value.": seen / (det * area),
            "This compares with the target before the warp: an enlarged one that is half outside would pass.": seen / area,
            "An area grows with the determinant itself, not with its root.": seen / (abs(det) ** 0.5 * area),
            "This multiplies by the determinant; the warped target should have |det A| times its area.": seen * abs(det) / area,
        }.items():
            if abs(found - value) < 1e-6 < abs(found - right):
                raise Wrong(message)
        if abs(found - right) > 1e-6:
            raise Wrong(f"For A = {linear}, {area:.0f} pixels before and {seen:.0f} seen it should be {right:.3f}.")


def _shared_convolution(answer: Callable) -> None:
    g = torch.Generator().manual_seed(5)
    weight, h = torch.randn(6, 5, 3, 3, generator=g), torch.randn(1, 4, 7, 9, generator=g)
    scores = torch.randn(3, 1, 7, 9, generator=g)
    spent = []

    def convolve(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        spent.append(x.shape[0] * kernel.numel())  # multiplications a position
        return F.conv2d(x, kernel, padding=1)

    together = torch.cat([h.expand(3, -1, -1, -1), scores], dim=1)
    _need(
        answer(convolve, weight, h, scores),
        F.conv2d(together, weight, padding=1),
        {
            "The score is the last channel of the kernel, not the first.":
                F.conv2d(torch.cat([scores, h.expand(3, -1, -1, -1)], dim=1), weight, padding=1),
            "The features' part is missing.": F.conv2d(scores, weight[:, 4:], padding=1),
            "The scores' part is missing.": F.conv2d(h, weight[:, :4], padding=1).expand(3, -1, -1, -1),
        },
        "A convolution over joined channels is a sum of one over each part, with the kernel split alike.",
    )
    if sum(spent) > 6 * 9 * (4 + 3):
        raise Wrong(f"The result is right, but took {sum(spent)} multiplications a position where {6 * 9 * 7} do: "
                    "the features are the same for every object.")


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


def _entropy_gradient(answer: Callable) -> None:
    logits, labels = torch.tensor([[-4.0, 0.5], [2.0, -0.3], [1.0, 6.0]]), torch.tensor([[0.0, 1], [0, 1], [1, 1]])
    p = logits.sigmoid()
    right = (p - labels) / labels.numel()
    _need(
        answer(logits, labels),
        right,
        {
            "The loss is a mean: divide by the number of pixels.": p - labels,
            "The sign is wrong: where a label of 0 is answered with 1, the logit must be pushed down.": -right,
            "This is the derivative with respect to the probability; go on to the logit, by the chain rule.":
                right / (p * (1 - p)),
            "The factor p (1 - p) belongs to a squared loss; here it cancels.": right * p * (1 - p),
        },
        "By the chain rule, dL/dp times p (1 - p): what is left is short.",
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
                "The newest weighs eta itself: gamma_0 = eta is what the first insertion is set against, so it weighs more.":
                    _weights_after(count, eta, start=eta * (1 - eta)),
                "These are oldest last; oldest first, please.": _weights_after(count, eta).flip(0),
            },
            f"For {count} insertions and eta {eta} the newest should weigh {_weights_after(count, eta)[-1]:.4f}.",
        )


def _evicted_after(samples: int, capacity: int, eta: float, first: float = 2.0) -> int:
    """Insertions until the engine's memory, by the printed rule, overwrites slot 0: the ground-truth frame."""
    gamma = initial_gamma(1, samples, first, torch.zeros(()))
    blank = target_model.NormalForm(*(torch.zeros(1, samples, 1) for _ in target_model.NormalForm._fields))
    memory, count = Memory(torch.zeros(1, samples, 1, 1), blank, gamma, capacity, eta), 0
    while not memory.projected[0, 0].any():
        memory.insert(torch.ones(1, 1, 1), target_model.NormalForm(*(part[:, 0] for part in blank)), torch.tensor([True]))
        count += 1
    return count


def _eviction(answer: Callable) -> None:
    for samples, capacity, eta in ((20, 80, 0.1), (5, 12, 0.3), (20, 80, 0.02)):
        right, found = _evicted_after(samples, capacity, eta), int(answer(samples, capacity, eta))
        if found == right:
            continue
        if found == capacity - samples + 1:
            raise Wrong("That is the first eviction. Whose turn is it? The frame itself weighs twice as much as its copies.")
        if found == _evicted_after(samples, capacity, eta, 1.0):
            raise Wrong("The frame itself weighs twice as much as each of its augmented copies.")
        if abs(found - right) == 1:
            raise Wrong("Off by one: count the insertion that overwrites it.")
        if found == capacity and eta < 0.1:
            raise Wrong("Right for eta = 0.1. With a small eta the first of its own masks weigh less than the frame.")
        raise Wrong(f"For {samples} samples, capacity {capacity} and eta {eta} it should be {right}, and is {found}.")


def _soft_aggregation(answer: Callable) -> None:
    p = torch.tensor([0.9, 0.6, 0.2, 0.5])[:, None, None].expand(4, 2, 3)[:2].clone()
    p[:, 1] = torch.tensor([[0.3], [0.05]])
    everyone = torch.cat([(1 - p).prod(dim=0, keepdim=True), p])
    odds = everyone / (1 - everyone)
    least = torch.cat([(1 - p).amin(dim=0, keepdim=True), p])
    least = least / (1 - least)
    _need(
        answer(p),
        segmenter.aggregate(p),
        {
            "Probabilities were normalised; the formula has odds, p / (1 - p).": everyone / everyone.sum(dim=0),
            "This is a softmax over the odds themselves; it is one over their logarithms.": odds.softmax(dim=0),
            "This is a softmax over probabilities; it is one over log-odds.": everyone.softmax(dim=0),
            "The background's probability is the product of all (1 - p_n), not the least of them.": least / least.sum(dim=0),
            "The background comes first.": segmenter.aggregate(p).roll(-1, dims=0),
        },
        "Background: the product of (1 - p_n). Then each one's odds over the sum of all odds, the background's among them.",
    )


principal_components = Exercise(
    "principal_components", _principal_components,
    ("Make x a matrix (C, h w), and take each row's mean away.",
     "Its SVD u, s, vt: the columns of u are the directions, in falling order; u[:, :count].T @ centred, then .view."),
)
summary = Exercise(
    "summary", _summary,
    ("First cut the curve: j[1:-1]. Recall is the mean of a comparison.",
     "b = np.round(np.linspace(0, n - 1, 5)).astype(int); the first quarter is x[: b[1] + 1], the last x[b[3] :]."),
)
normal_stencil = Exercise(
    "normal_stencil", _normal_stencil,
    ("Write K[i, j] = sum over n of v[n]² U[n, i] U[n, j] for j = i, then for j = i + 1.",
     "(U * U).T @ v² and (U[:, :-1] * U[:, 1:]).T @ v²."),
)
visible_share = Exercise(
    "visible_share", _visible_share,
    ("By which factor does an affine map change an area?",
     "abs(np.linalg.det(warp[:, :2])) times the mask's pixels are what one would see of it in an endless image."),
)
shared_convolution = Exercise(
    "shared_convolution", _shared_convolution,
    ("A kernel over joined channels can be cut along its input channels.",
     "convolve(h, weight[:, :-1]) once, plus convolve(scores, weight[:, -1:]): the sum broadcasts over objects."),
)
entropy_gradient = Exercise(
    "entropy_gradient", _entropy_gradient,
    ("dL/dp = (p - y) / (p (1 - p)) for one pixel, and dp/dl = p (1 - p).",
     "(logits.sigmoid() - labels) / labels.numel()."),
)
eviction = Exercise(
    "eviction", _eviction,
    ("Simulate: a list of weights, a mark for each of whose it is. No formula is needed, and it is different for small eta.",
     "While the frame is there: if the list is full, drop the least; append newest / (1 - eta); divide by the sum."),
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
    similarity, principal_components, pixel_weights, loss_share, conjugate_gradient, linearised_filter, normal_stencil,
    about, visible_share, channel_attention, shared_convolution, memory_weights, eviction, soft_aggregation,
    entropy_gradient, cross_entropy, jaccard, summary,
)
