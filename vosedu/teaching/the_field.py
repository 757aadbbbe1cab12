"""Notebook 11: families of methods on the same features. The widget `FieldBench`, the exercises `match` and `fisher`."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cv2
import ipywidgets
import numpy as np
import torch
from torch import Tensor

from ..beyond.nearest import covered
from ..config import Config
from ..evaluation import metrics
from ..features import TARGET_DEPTH
from ..files.clip import Clip
from ..pipeline import track
from ..protocols import Targets
from ..rivals.family import Family
from ..rivals.field import BUNDLED_FIELD, families, load_learned, ready
from ..segmenter import Segmenter
from ..target_model import FirstFrame
from .exercise import Exercise, need
from .pictures import score_picture, with_scale
from .widget import Widget

VARIANTS = ("nearest", "cross-entropy SGD")
"""Rows of the table that are another family's with one number or step changed."""
COLUMNS = 3
"""Pictures side by side in `FieldBench`."""


class Run(NamedTuple):
    """What a family made of a clip, from its second frame on."""

    scores: list[np.ndarray]
    """(h, w) each, brought to D's scale."""
    j: np.ndarray
    """J of object 1, frame by frame."""
    seconds: float
    """Of learning on the first frame, without the samples and their features, which all have in common."""


def the_field() -> dict[str, Callable[[Config], Targets]]:
    """Every family that is a target model, by name, for `Segmenter(targets=…)`; scores that have no scale of their own are
    brought to D's. Variants that the table has beside them are left out: matching with K = 1, and SGD."""
    learned = load_learned(BUNDLED_FIELD, 256)
    rows = {name: row for name, row in families(learned).items() if name not in VARIANTS}
    return {name: (row if row.scaled else ready(learned)[name]).make for name, row in rows.items()}


def compete(segmenter: Segmenter, families: Mapping[str, Callable[[Config], Targets]], clip: Clip) -> dict[str, Run]:
    """Each family in the same engine on the same clip, its masks read from the scores alone, without R."""
    found = {}
    for name, make in families.items():
        engine, scores, j, seconds = segmenter.changed(targets=make, refinement=None), [], [], 0.0
        for step in track(engine, clip, {0: clip.masks[0]}):
            if step.index:
                scores.append(step.state.scores[0].cpu().numpy())
                j.append(metrics.jaccard(step.labels == 1, clip.masks[step.index] == 1))
            else:
                seconds = step.state.stopwatch.seconds()["first-frame optimisation"]
        found[name] = Run(scores, np.array(j), seconds)
    return found


def maps_picture(frame: np.ndarray, truth: np.ndarray, runs: Mapping[str, Run], t: int, columns: int = COLUMNS) -> np.ndarray:
    """A frame with its true outline, and every family's scores in it, with name and J; uint8 RGB.

    Args:
        frame: uint8 RGB (H, W, 3), frame t of the clip.
        truth: ids (H, W); object 1 is outlined.
        t: 1 or more.
    """
    outline = cv2.findContours((truth == 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    pictures = {"frame": frame.copy()} | {name: score_picture(run.scores[t - 1], frame) for name, run in runs.items()}
    cells = []
    for name, picture in pictures.items():
        cv2.drawContours(picture, outline, -1, (255, 255, 255), 1, cv2.LINE_AA)
        text = name if name == "frame" else f"{name}: J {runs[name].j[t - 1]:.2f}"
        bar = np.full((20, picture.shape[1], 3), 255, np.uint8)
        cv2.putText(bar, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        cells.append(np.vstack([bar, picture]))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    cells[len(pictures) - 1][20:] = with_scale(cells[len(pictures) - 1][20:])
    return np.vstack([np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)])


class FieldBench(Widget):
    """Score maps of all families in one frame of one scene.

    Args:
        clips: by name.
        runs: name of the clip -> what `compete` gave.

    Attributes:
        scene: dropdown; index: slider over frames.
    """

    def __init__(self, clips: Mapping[str, Clip], runs: Mapping[str, Mapping[str, Run]]):
        self.clips, self.runs = dict(clips), dict(runs)
        self.scene = ipywidgets.Dropdown(options=list(clips), description="scene")
        last = min(len(clip.frames) for clip in clips.values()) - 1
        self.index = ipywidgets.IntSlider(value=last // 2, min=1, max=last, description="frame")
        super().__init__([self.scene, self.index], 860, "score maps of every family in one frame, and the frame itself",
                         above=[self.scene], play=400)

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """Every second frame of every scene."""
        return {self.scene: list(self.clips), self.index: range(1, self.index.max + 1, 2)}

    def words(self) -> str:
        """J of every family in this frame."""
        runs, t = self.runs[self.scene.value], self.index.value
        return f"Frame {t}, J: " + ", ".join(f"{name} {run.j[t - 1]:.2f}" for name, run in runs.items())

    def picture(self) -> np.ndarray:
        """As `maps_picture`."""
        clip, t = self.clips[self.scene.value], self.index.value
        return maps_picture(clip.frames[t], clip.masks[t], self.runs[self.scene.value], t)


class Linear(Family):
    """A family that is one function: weights of a score w·x + b, learned from the first frame.

    Args:
        config: the settings.
        learner: features (C, P), covered cells (P) and a ridge -> (C + 1), w and b.
        ridge: as the learner takes it.
    """

    def __init__(self, config: Config, learner: Callable[[Tensor, Tensor, float], Tensor], ridge: float = 0.1):
        super().__init__(config)
        self.learner, self.ridge = learner, ridge

    def first(self, samples: FirstFrame, seed: int) -> dict[str, Tensor]:
        """What the learner makes of the frame itself."""
        inside = covered(samples.labels[:1], samples.size).flatten()
        found = torch.as_tensor(self.learner(samples.features[0, 0], inside, self.ridge))
        return {"weights": found.to(samples.features)[None]}

    def raw(self, x: Tensor) -> Tensor:
        """w·x + b at every position."""
        w = self.parts["weights"]
        return torch.einsum("nc,nchw->nhw", w[:, :-1], x) + w[:, -1, None, None]


class Forgetting(NamedTuple):
    """J of a network while it is fine-tuned on one frame of one object, after each number of steps."""

    steps: list[int]
    learned: list[float]
    """In the frame that it learns from."""
    later: list[float]
    """Mean over later frames of the same object."""
    others: list[float]
    """Mean over other objects, whose first frames it is shown, in later frames of theirs."""


def forget(
    segmenter: Segmenter, net: torch.nn.Module, clips: Sequence[Clip], counts: Sequence[int], rate: float,
    asked: Sequence[int] = (0, 12, 18, 24, 30),
) -> Forgetting:
    """Fine-tune a copy of a Base net on the first frame of the first clip, and ask it about object 1 of all clips.

    Args:
        counts: steps of Adam, after which it is asked; the first may be 0.
        rate: Adam's.
        asked: frames of every clip that it is asked about, the first of them the one that it is shown.
    """
    net = copy.deepcopy(net).requires_grad_(True)
    optimiser, found, done = torch.optim.Adam(net.parameters(), lr=rate), Forgetting(list(counts), [], [], []), 0
    maps = [[tuple(x.clone() for x in segmenter.features(clip.frames[t][None])) for t in asked] for clip in clips]
    masks = [torch.from_numpy((clip.masks[list(asked)] == 1).astype(np.float32)).to(maps[0][0][0]) for clip in clips]

    def logits(n: int, k: int) -> Tensor:
        return net(maps[n][k], maps[n][0][TARGET_DEPTH], masks[n][:1], clips[n].size)

    for count in counts:
        for _ in range(count - done):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits(0, 0), masks[0][:1])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        done = count
        with torch.no_grad():
            j = np.array([[metrics.jaccard((logits(n, k)[0] > 0).cpu().numpy(), masks[n][k].cpu().numpy())
                           for k in range(len(asked))] for n in range(len(clips))])
        for part, value in zip(found[1:], (j[0, 0], j[0, 1:].mean(), j[1:, 1:].mean()), strict=True):
            part.append(float(value))
    return found


def _match(answer: Callable) -> None:
    g = torch.Generator().manual_seed(11)
    bank, x = torch.randn(5, 12, generator=g), torch.randn(5, 7, generator=g)
    inside = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0], dtype=torch.bool)

    def right(bank: Tensor, x: Tensor, k: int, inside: Tensor = inside) -> Tensor:
        best = [(bank.T[part] @ x).topk(k, dim=0)[0].mean(0) for part in (inside, ~inside)]
        return best[0] - best[1]

    def unit(v: Tensor) -> Tensor:
        return v / v.norm(dim=0)

    for k in (1, 3):
        everything = unit(bank).T @ unit(x)
        need(
            answer(bank, inside, x, k),
            right(unit(bank), unit(x), k),
            {
                "These are inner products: divide both features by their lengths.": right(bank, x, k),
                "The features of now are not of length one.": right(unit(bank), x, k),
                "The remembered features are not of length one.": right(bank, unit(x), k),
                "Object and background are exchanged.": right(unit(bank), unit(x), k, ~inside),
                "This is the mean of all similarities; only the best `count` are asked.":
                    everything[inside].mean(0) - everything[~inside].mean(0),
                "The background's part is missing: what looks like both is no match.":
                    everything[inside].topk(k, dim=0)[0].mean(0),
            },
            "Similarities are (M, P): the best `count` along the bank, their mean, object less background.",
        )


match = Exercise(
    "match", _match,
    ("Divide each column by its length; one product then gives all cosines, a row for each remembered feature.",
     "`topk` along the bank gives the best of some rows; choose the rows with `inside`, and again with `~inside`."),
)


def _fisher(answer: Callable) -> None:
    g = torch.Generator().manual_seed(12)
    mix = torch.randn(4, 4, generator=g, dtype=torch.float64)
    inside = torch.tensor([1.0] * 8 + [0.0] * 20 + [0.25], dtype=torch.float64)
    x = mix @ torch.randn(4, 29, generator=g, dtype=torch.float64) + torch.tensor([2.0, 0, 1, 0])[:, None] * inside

    def right(
        ridge: float, share: Tensor = inside, about: Tensor | None = None, scaled: bool = True, offset: bool = True
    ) -> Tensor:
        means = [(x * w).sum(1) / w.sum() for w in (share, 1 - share)]
        apart = [x - (mean if about is None else about)[:, None] for mean in means]
        spread = sum((a * w) @ a.T for a, w in zip(apart, (share, 1 - share), strict=True)) / x.shape[1]
        w = torch.linalg.solve(spread + ridge * spread.diagonal().mean() * torch.eye(4).to(x), means[0] - means[1])
        w = w / (w @ (means[0] - means[1])) if scaled else w
        return torch.cat([w, (1 - w @ means[0] if offset else x.new_zeros(())).reshape(1)])

    for ridge in (0.1, 1.0):
        need(
            answer(x, inside, ridge),
            right(ridge),
            {
                "The spread is that about each kind's own mean, not about the mean of all.": right(ridge, about=x.mean(1)),
                "The cells' shares are weights; a cell that is covered by a quarter belongs to both kinds.":
                    right(ridge, share=(inside > 0.5).to(x)),
                "b is missing: the score is 1 at the object's mean and 0 at the background's.": right(ridge, offset=False),
                "w has the right direction; divide it by what it makes of the means' difference.": right(ridge, scaled=False),
                "Add the ridge times the mean variance to every variance.": right(0.0),
            },
            "w solves (S + ridge · mean variance · I) w = m1 - m0, scaled so that w·(m1 - m0) = 1; then b = 1 - w·m1.",
        )


fisher = Exercise(
    "fisher", _fisher,
    ("Weighted means of both kinds; then the covariance of what is left when each kind's own mean is taken away.",
     "The shares weigh one of the two factors of each covariance. `torch.linalg.solve` gives the direction of w; its length, "
     "and then b, follow from the scores that both means must have."),
)
