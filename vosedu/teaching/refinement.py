"""Notebook 05: what R adds to the scores, and what it relies on.

The widgets `BlobBench` and `DepthBench`, the figure `refinement_diagram`, the exercises: the blocks of R, and a level of it.
"""

import itertools
from collections.abc import Callable, Sequence

import cv2
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from ..evaluation.metrics import boundary_f, jaccard
from ..files.images import overlay
from ..segmenter import Segmenter
from .exercise import Exercise, Wrong, need
from .pictures import boundary_picture, score_picture, with_scale
from .widget import Widget


class BlobBench(Widget):
    """A false blob in D's score map: what does R make of it?

    Args:
        segmenter: with a refinement network.
        frame: uint8 RGB (H, W, 3).
        scores: (h, w), D's.
        features: the five maps of the frame.

    Attributes:
        x, y, radius: sliders: the blob's centre in pixels, its radius in cells of the score map.
    """

    slow = True

    def __init__(self, segmenter: Segmenter, frame: np.ndarray, scores: torch.Tensor, features: Sequence[torch.Tensor]):
        self.segmenter, self.frame, self.scores, self.features = segmenter, frame, scores, features
        height, width = frame.shape[:2]
        options = {"continuous_update": False}
        self.x = ipywidgets.IntSlider(value=width // 2, min=0, max=width - 1, description="x", **options)
        self.y = ipywidgets.IntSlider(value=height // 2, min=0, max=height - 1, description="y", **options)
        self.radius = ipywidgets.IntSlider(value=2, min=0, max=6, description="radius", **options)
        super().__init__(
            [self.x, self.y, self.radius], min(960, 2 * width),
            "the score map with a false blob in it, and the mask that the refinement network makes of it",
        )

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """Nine columns, five rows, four radii."""
        height, width = self.frame.shape[:2]
        x = sorted({self.x.value, *(int((k + 0.5) * width / 9) for k in range(9))})
        y = sorted({self.y.value, *(int((k + 0.5) * height / 5) for k in range(5))})
        return {self.x: x, self.y: y, self.radius: (0, 1, 2, 4)}

    def words(self) -> str:
        """What is left of the blob."""
        return f"{self.survives():.0%} of the blob's pixels are labelled after R." if self.radius.value else "No blob."

    def blob(self) -> np.ndarray:
        """The cells (h, w), bool, in which the score is set to 1; none at radius 0."""
        height, width = self.frame.shape[:2]
        h, w = self.scores.shape
        rows, columns = np.ogrid[:h, :w]
        far = np.hypot(rows + 0.5 - self.y.value * h / height, columns + 0.5 - self.x.value * w / width)
        return far < self.radius.value

    def _masks(self) -> tuple[torch.Tensor, np.ndarray]:
        """The scores (h, w) with the blob in them, and the mask (H, W), bool, that R makes of them."""
        changed = torch.where(torch.from_numpy(self.blob()).to(self.scores.device), 1.0, self.scores)
        logits = self.segmenter.logits(self.features, changed[None], self.frame.shape[:2])
        return changed, (logits[0] > 0).cpu().numpy()

    def survives(self) -> float:
        """The share of the blob's pixels that is labelled after R; 0 without a blob."""
        blob = cv2.resize(self.blob().astype(np.uint8), self.frame.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        return float(self._masks()[1][blob].mean()) if blob.any() else 0.0

    def picture(self) -> np.ndarray:
        """The changed scores over the frame, and the mask after R; uint8 RGB, side by side."""
        scores, mask = self._masks()
        left = with_scale(score_picture(scores.cpu().numpy(), self.frame))
        return np.hstack([left, overlay(self.frame, mask.astype(np.uint8))])


class DepthBench(Widget):
    """R with depths of its features switched off: what does each add?

    A depth that is off is given as zeros. R was never trained so: what is seen is how far it relies on the depth, not
    how well it could do without.

    Args:
        segmenter: with a refinement network.
        frame: uint8 RGB (H, W, 3).
        scores: (h, w), D's.
        features: the five maps of the frame.
        truth: (H, W), nonzero on the target.

    Attributes:
        switches: four toggle buttons, conv2_x to conv5_x.
        note: J and F.
        found: the mask that is shown, bool (H, W).
    """

    slow = True

    def __init__(
        self,
        segmenter: Segmenter,
        frame: np.ndarray,
        scores: torch.Tensor,
        features: Sequence[torch.Tensor],
        truth: np.ndarray,
    ):
        self.segmenter, self.frame, self.scores, self.features, self.truth = segmenter, frame, scores, features, truth
        self.switches = [ipywidgets.ToggleButton(value=True, description=f"conv{d + 1}_x") for d in (1, 2, 3, 4)]
        super().__init__(
            self.switches, min(960, 2 * frame.shape[1]),
            "the mask made from the depths that are on, and its boundary, right and wrong", above=self.switches, note=True,
        )

    def mask(self) -> np.ndarray:
        """What R makes of the depths that are on: bool (H, W)."""
        on = [True, *(switch.value for switch in self.switches)]
        maps = [x if kept else torch.zeros_like(x) for x, kept in zip(self.features, on, strict=True)]
        return (self.segmenter.logits(maps, self.scores[None], self.frame.shape[:2])[0] > 0).cpu().numpy()

    def prepare(self) -> None:
        """The mask, and how good it is."""
        self.found = self.mask()
        self.note.value = f"J {jaccard(self.found, self.truth):.2f}, F {boundary_f(self.found, self.truth):.2f}"

    def picture(self, mask: np.ndarray | None = None) -> np.ndarray:
        """A mask, that of the switches where left out, and its boundary by `boundary_picture`; uint8 RGB, side by side."""
        mask = self.found if mask is None else mask
        return np.hstack([overlay(self.frame, mask.astype(np.uint8)), boundary_picture(self.frame, mask, self.truth)])


def refinement_diagram() -> None:
    """A static figure of R as it is built: four levels from the deepest down, the blocks of a level spelled out once."""
    figure = plt.figure(figsize=(13, 5), layout="constrained")
    ax = figure.subplots()
    details = {
        "TSE": "TSE: 1x1, ReLU, 1x1 to 64;\njoin $\\mathbf{s}$: 65; three 3x3,\nReLU each, to 64",
        "RRB1": "RRB: base = 1x1;\nReLU(base + 3x3(\nReLU(BN(3x3(base)))))",
        "CAB": "CAB: $\\sigma$(1x1(ReLU(1x1(\naverages)))) times shallow\n+ deeper, upsampled",
        "RRB2": "RRB, as before",
    }
    columns = {"x": 0.0, "TSE": 2.0, "RRB1": 4.3, "CAB": 6.6, "RRB2": 8.7, "z": 10.4}
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#eef3f8", "edgecolor": "#4477aa"}

    def arrow(start: tuple[float, float], end: tuple[float, float], style: str = "-") -> None:
        ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#444444", "linestyle": style,
                                                "shrinkA": 4, "shrinkB": 4})

    for level, (depth, stride) in enumerate(((5, 32), (4, 16), (3, 8), (2, 4))):
        y = -1.5 * level
        ax.text(columns["x"], y, f"$\\mathbf{{x}}$ of conv{depth}_x\nstride {stride}", ha="center", va="center", fontsize=9)
        for name in details:
            text = details[name] if level == 0 else name.rstrip("12")
            ax.text(columns[name], y, text, ha="center", va="center", fontsize=8, bbox=box)
        ax.text(columns["z"], y, f"$\\mathbf{{z}}$, stride {stride}", ha="center", va="center", fontsize=9)
        reach = {"x": 0.55, "TSE": 0.9 if level == 0 else 0.3, "RRB1": 0.8 if level == 0 else 0.3,
                 "CAB": 0.95 if level == 0 else 0.3, "RRB2": 0.55 if level == 0 else 0.3, "z": 0.45}
        names = list(columns)
        for a, b in itertools.pairwise(names):
            arrow((columns[a] + reach[a], y), (columns[b] - reach[b], y))
        if level:  # the score's line runs down beside the spelled-out block
            arrow((0.9, y + 0.45), (columns["TSE"] - 0.25, y + 0.2), ":")
        if level:
            arrow((columns["z"], y + 1.3), (columns["CAB"] + 0.1, y + 0.24))
    ax.plot([0.9, 0.9], [1.2, -4.05], ":", color="#444444", linewidth=1)
    arrow((columns["TSE"], 1.2), (columns["TSE"], 0.45), ":")
    ax.text(columns["TSE"] - 0.5, 1.3, "score map $\\mathbf{s}$, resized to every level", ha="center", fontsize=9)
    ax.text(12.2, -4.5, "twice: double, 3x3\nto 32, then 1 channel", ha="center", va="center", fontsize=8, bbox=box)
    ax.text(12.2, -3.4, "logits at $H \\times W$", ha="center", va="center", fontsize=9)
    ax.text(columns["CAB"], 1.3, "deepest level: the average of the TSE's projection\nstands for the deeper $\\mathbf{z}$",
            ha="center", va="center", fontsize=8)
    arrow((columns["CAB"], 1.05), (columns["CAB"], 0.5))
    arrow((columns["z"] + 0.45, -4.5), (11.4, -4.5))
    arrow((12.2, -4.2), (12.2, -3.6))
    ax.set(xlim=(-0.8, 13.1), ylim=(-5.1, 1.7))
    ax.axis("off")


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
    need(
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


channel_attention = Exercise(
    "channel_attention", _channel_attention,
    ("Average both maps over positions, join the averages (shallow first), and ask gate.",
     "The factors, (1, 64), need two more axes before they can multiply a map, and the deeper map needs the size of the "
     "shallower one before it can be added."),
)


def _shared_convolution(answer: Callable) -> None:
    g = torch.Generator().manual_seed(5)
    weight, h = torch.randn(6, 5, 3, 3, generator=g), torch.randn(1, 4, 7, 9, generator=g)
    scores = torch.randn(3, 1, 7, 9, generator=g)
    spent = []

    def convolve(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        spent.append(x.shape[0] * kernel.numel())  # multiplications per position
        return F.conv2d(x, kernel, padding=1)

    together = torch.cat([h.expand(3, -1, -1, -1), scores], dim=1)
    need(
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
    least = 6 * 9 * (4 + 3)
    if sum(spent) > least:
        raise Wrong(f"The result is right, but took {sum(spent)} multiplications per position where {least} do: "
                    "the features are the same for every object.")
    if sum(spent) < least:
        raise Wrong("The result is right, but not all of it came from `convolve`, which counts the multiplications.")


shared_convolution = Exercise(
    "shared_convolution", _shared_convolution,
    ("A kernel over joined channels can be cut along its input channels.",
     "The score's is the last channel of the kernel. One of the two results has one map for all objects, the other one for "
     "each: their sum broadcasts."),
)


Weights = tuple[torch.Tensor, torch.Tensor | None]
"""Kernel and bias of a convolution."""


def _convolutions(g: torch.Generator, *shapes: tuple[int, int, int], bias: bool = True) -> list[Weights]:
    """Random convolutions of (channels in, channels out, size)."""
    return [(torch.randn(out, inputs, size, size, generator=g) / (inputs * size**2) ** 0.5,
             torch.randn(out, generator=g) / 2 if bias else None) for inputs, out, size in shapes]


def _encoded(x: torch.Tensor, s: torch.Tensor, project: list[Weights], mix: list[Weights], **slips: bool) -> tuple:
    """T of eq. (5), the encoding and the projection; `slips` names what goes wrong in it."""
    def convolved(y: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return F.conv2d(y, kernel, None if slips.get("unbiased") else bias, padding=kernel.shape[-1] // 2)

    projected = convolved(x, *project[0])
    projected = convolved(projected if slips.get("linear") else F.relu(projected), *project[1])
    projected = F.relu(projected) if slips.get("positive") else projected
    up = F.interpolate(s, size=x.shape[2:], mode="nearest" if slips.get("nearest") else "bilinear")
    encoded = torch.cat([up, projected] if slips.get("swapped") else [projected, up], dim=1)
    for n, convolution in enumerate(mix):
        encoded = convolved(encoded, *convolution)
        encoded = encoded if slips.get("open" if n == len(mix) - 1 else "plain") else F.relu(encoded)
    return encoded, projected


def _target_encoder(answer: Callable) -> None:
    g = torch.Generator().manual_seed(9)
    x, s = torch.randn(1, 10, 6, 8, generator=g), torch.randn(1, 1, 3, 4, generator=g)
    project, mix = _convolutions(g, (10, 8, 1), (8, 8, 1)), _convolutions(g, (9, 9, 3), (9, 9, 3), (9, 8, 3))
    found, right = answer(x, s, project, mix), _encoded(x, s, project, mix)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Wrong("Return two maps: the encoding, and the projected features.")
    slips = {
        "The ReLU between the two 1x1 convolutions is missing.": "linear",
        "No ReLU follows the projection.": "positive",
        "The biases are missing.": "unbiased",
        "The score is the last channel, not the first.": "swapped",
        "The score is enlarged bilinearly.": "nearest",
        "The ReLUs between the 3x3 convolutions are missing.": "plain",
        "A ReLU follows the last 3x3 convolution, too.": "open",
    }
    wrong = {said: _encoded(x, s, project, mix, **{slip: True}) for said, slip in slips.items()}
    need(found[1], right[1], {said: example[1] for said, example in wrong.items()} | {
        "The encoding comes first, then the projection.": right[0]},
         "The projection is two 1x1 convolutions, with a ReLU between them.")
    need(found[0], right[0], {said: example[0] for said, example in wrong.items()},
         "Join the projected features and the enlarged score; then three 3x3 convolutions of the same size, a ReLU after each.")


target_encoder = Exercise(
    "target_encoder", _target_encoder,
    ("The first box of Figure 2, line by line. `F.conv2d(y, *pair)` applies one pair; a 3x3 convolution keeps the size with "
     "padding=1.",
     "Three stages: two convolutions with one ReLU between them, a `torch.cat` along the channels, and a loop over `mix`. The "
     "score needs the size of x before it can join."),
)


def _block(y: torch.Tensor, project: Weights, first: Weights, norm: Callable, second: Weights, **slips: bool) -> torch.Tensor:
    """A residual block; `slips` names what goes wrong in it."""
    base = F.conv2d(y, *project)
    branch = F.conv2d(base, *first, padding=1)
    branch = branch if slips.get("plain") else norm(branch)
    branch = branch if slips.get("linear") else F.relu(branch)
    branch = norm(F.relu(F.conv2d(base, *first, padding=1))) if slips.get("late") else branch
    found = F.conv2d(branch, *second, padding=1) + (y if slips.get("input") else 0 if slips.get("alone") else base)
    return found if slips.get("open") else F.relu(found)


def _residual_block(answer: Callable) -> None:
    g = torch.Generator().manual_seed(11)
    y = torch.randn(1, 8, 6, 7, generator=g)
    (project, first), (second,) = _convolutions(g, (8, 8, 1), (8, 8, 3)), _convolutions(g, (8, 8, 3), bias=False)
    mean, scale, shift = torch.randn(3, 8, 1, 1, generator=g)

    def norm(given: torch.Tensor) -> torch.Tensor:
        return (torch.as_tensor(given) - mean) * scale + shift

    given = (y, project, first, norm, second)
    slips = {
        "The block adds to what its 1x1 convolution gives, not to its own input.": "input",
        "What the 1x1 convolution gives is not added.": "alone",
        "The block ends in a ReLU.": "open",
        "The ReLU between the two 3x3 convolutions is missing.": "linear",
        "The batch normalisation is missing.": "plain",
        "The batch normalisation comes before the ReLU.": "late",
    }
    need(answer(*given), _block(*given), {said: _block(*given, **{slip: True}) for said, slip in slips.items()},
         "A 1x1 convolution; to its result add: 3x3 convolution, batch normalisation, ReLU, 3x3 convolution. Then a ReLU.")


residual_block = Exercise(
    "residual_block", _residual_block,
    ("The second box of Figure 2. Its base is what the 1x1 convolution gives: keep it, it is used twice.",
     "Read the box from inside out: a normalised 3x3 convolution, a ReLU, another 3x3 convolution. Both keep the size."),
)


def _level(
    x: torch.Tensor, s: torch.Tensor, deeper: torch.Tensor | None, blocks: dict[str, Callable], slip: str = ""
) -> torch.Tensor:
    """One level of eq. (5) from its blocks; `slip` names what goes wrong in it."""
    encoded, projected = blocks["encode"](x, s)
    if deeper is None:
        deeper = torch.zeros(1, 8, 1, 1) if slip == "zeros" else projected if slip == "whole" else projected.mean((2, 3), True)
    shallower = encoded if slip == "early" else blocks["first"](encoded)
    if slip == "exchanged":
        return blocks["first"](blocks["attention"](deeper, blocks["second"](encoded)))
    if slip == "before":
        return blocks["second"](shallower)
    z = blocks["attention"](deeper, shallower)
    return z if slip == "short" else blocks["second"](z)


def _refinement_level(answer: Callable) -> None:
    g = torch.Generator().manual_seed(7)
    x, s, deeper = (torch.randn(1, c, h, w, generator=g) for c, h, w in ((10, 6, 8), (1, 3, 4), (8, 3, 4)))
    kernels = [kernel for kernel, _ in _convolutions(g, (10, 8, 1), (9, 8, 3), (8, 8, 1), (8, 8, 1), bias=False)]
    asked = []

    def encode(features: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(1)
        projected = F.conv2d(features, kernels[0])
        up = F.interpolate(scores, size=features.shape[2:], mode="bilinear")
        return F.conv2d(torch.cat([projected, up], dim=1), kernels[1], padding=1), projected

    def attention(deep: torch.Tensor, shallow: torch.Tensor) -> torch.Tensor:
        factors = (shallow.mean((2, 3), True) - 2 * deep.mean((2, 3), True)).sigmoid()
        return shallow * factors + F.interpolate(deep, size=shallow.shape[2:], mode="bilinear")

    blocks = {"encode": encode, "first": lambda y: F.relu(F.conv2d(y, kernels[2])), "attention": attention,
              "second": lambda y: F.relu(F.conv2d(y, kernels[3]))}
    slips = {
        "The first residual block is missing.": "early",
        "The second residual block is missing.": "short",
        "The residual blocks are exchanged.": "exchanged",
        "The attention block is missing.": "before",
        "At the deepest level the average of the projection stands for the deeper state, not zeros.": "zeros",
        "At the deepest level the projection is averaged over all positions.": "whole",
    }
    for given in (deeper, None):
        right = _level(x, s, given, blocks)
        wrong = {said: _level(x, s, given, blocks, slip) for said, slip in slips.items()}
        asked.clear()
        need(answer(x, s, given, *blocks.values()), right, wrong,
             "Encode; then the first residual block, the attention block with the deeper state, the second residual block.")
        if len(asked) != 1:
            raise Wrong(f"The result is right, but the encoder was asked {len(asked)} times: one call gives both maps.")


refinement_level = Exercise(
    "refinement_level", _refinement_level,
    ("The first row of Figure 2 from left to right: every box is one call. `encode` gives two maps; which of them goes on?",
     "Only the deepest level, where `deeper` is None, has a use for the projection: a map of one cell, its average over "
     "positions (`keepdim=True`)."),
)
