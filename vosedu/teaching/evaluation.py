"""Notebook 08: J and F, frame by frame. The widget `CurveReader`, the exercises `jaccard` and `summary`."""

from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np

from ..evaluation import metrics
from .exercise import Exercise, Wrong, need
from .pictures import boundary_picture, chart, score_picture, with_scale
from .widget import Widget


class CurveReader(Widget):
    """J over frames, and for each point of it the frame: its score map, and its mask's boundary as F sees it.

    Args:
        videos: name -> frames uint8 RGB (H, W, 3), predicted ids (H, W), true ids (H, W) and score maps (h, w), as many of
            each; object 1 is looked at.

    Attributes:
        video: dropdown; index: slider over frames. A video opens at the frame with the lowest J.
        curves: name -> J of every frame.
    """

    def __init__(self, videos: dict[str, tuple[Sequence[np.ndarray], ...]]):
        self.videos = videos
        self.curves = {
            name: np.array([metrics.jaccard(p == 1, y == 1) for p, y in zip(labels, truth, strict=True)])
            for name, (_, labels, truth, _) in videos.items()
        }
        self.video = ipywidgets.Dropdown(options=list(videos), description="video")
        self.index = ipywidgets.IntSlider(min=0, max=1, description="scored")
        self._choose()
        width = videos[self.video.value][0][0].shape[1]
        super().__init__(
            [self.index], min(960, 2 * width),
            "score map and boundaries of one frame, and J of all frames as a curve", above=[self.video],
        )
        self.video.observe(self._open, "value")

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """Every frame of every video; of a shorter one the last frame stands for those that it lacks."""
        most = max(len(curve) for curve in self.curves.values())
        return {self.video: list(self.videos), self.index: range(most)}

    def words(self) -> str:
        """J of the frame, and of the video."""
        curve = self.curves[self.video.value]
        return f"Scored frame {self.index.value + 1}: J {curve[self.index.value]:.2f}; mean over the video {curve.mean():.2f}."

    def _choose(self) -> None:
        """Set the slider to the frame that one would ask about: that of the lowest J."""
        curve = self.curves[self.video.value]
        self.index.max = len(curve) - 1
        self.index.value = int(curve.argmin())

    def _open(self, _change: object = None) -> None:
        with self.at_once():
            self._choose()

    def picture(self, name: str | None = None, index: int | None = None) -> np.ndarray:
        """Score map and boundaries of a frame, J of its video below, by the controls where left out; uint8 RGB."""
        name, index = name or self.video.value, self.index.value if index is None else index
        frames, labels, truth, scores = self.videos[name]
        frame = frames[index]
        above = np.hstack([with_scale(score_picture(scores[index], frame)),
                           boundary_picture(frame, labels[index] == 1, truth[index] == 1)])
        size = above.shape[0] // 2, above.shape[1]
        return np.vstack([above, chart(self.curves[name], index, size, f"scored frame {index + 1}, J", (0, 1))])


def _jaccard(answer: Callable) -> None:
    a, b = np.zeros((2, 8, 8), bool)
    a[1:5, 1:5], b[2:6, 1:6] = True, True
    for prediction, truth in [(a, b), (a, a), (a, ~a)]:
        right = metrics.jaccard(prediction, truth)
        both, sizes = (prediction & truth).sum(), prediction.sum() + truth.sum()
        found = answer(prediction, truth)
        need(
            found,
            right,
            {
                "This is the Dice coefficient, 2|A∩B| / (|A| + |B|); J divides by the union.": 2 * both / sizes,
                "This is recall: pixels labelled in error must lower J too.": both / truth.sum(),
                "This is precision: pixels that were missed must lower J too.": both / prediction.sum(),
                "This is accuracy: background that both leave alone does not count.": (prediction == truth).mean(),
            },
            f"For one pair of masks it gives {found}, and J is {right:.3f}.",
            tolerance=1e-6,
        )
    empty = np.zeros((8, 8), bool)
    need(answer(empty, empty), 1.0, {}, "Two empty masks agree, and J is 1 there by convention.", tolerance=1e-6)


jaccard = Exercise(
    "jaccard", _jaccard,
    ("Count the pixels in both masks, and the pixels in at least one.",
     "On boolean arrays `&` and `|` are what you need. And what is the quotient of two empty masks?"),
)


def _three(values: np.ndarray) -> np.ndarray:
    """Mean, recall and decay."""
    return np.array(list(metrics.summarise(values).values()))


def _summary(answer: Callable) -> None:
    g = np.random.default_rng(0)
    for count in (11, 22):
        j = np.concatenate([[1.0], np.linspace(0.9, 0.3, count - 2) + 0.05 * g.standard_normal(count - 2), [0.05]])
        inner, half = j[1:-1], (count - 2) // 2
        right = _three(inner)
        found = np.array([float(value) for value in answer(j)])
        if found.shape != (3,):
            raise Wrong("Return three numbers: mean, recall, decay.")
        names = [n for n, a, b in zip(("mean", "recall", "decay"), found, right, strict=True) if not abs(a - b) <= 1e-6]
        need(
            found,
            right,
            {
                "The first frame is given, and counts.": _three(j[:-1]),
                "The last frame counts; the protocol leaves it out.": _three(j[1:]),
                "First and last frame count; the protocol leaves out both.": _three(j),
                "Decay has the wrong sign: it is positive where J falls.": right * [1, 1, -1],
                "Decay compares halves; it is the first quarter less the last.":
                    np.array([*right[:2], inner[:half].mean() - inner[-half:].mean()]),
                "Recall is the mean of the frames above 0.5; it is their share.":
                    np.array([right[0], inner[inner > 0.5].mean(), right[2]]),
            },
            f"For one curve of {count} frames {' and '.join(names)} should be otherwise: {right.round(3).tolist()}.",
            tolerance=1e-6,
        )


summary = Exercise(
    "summary", _summary,
    ("First cut the curve: j[1:-1]. Recall is the mean of a comparison.",
     "Five borders make four quarters, and a border belongs to both its quarters: mind the + 1 where a slice ends. Borders "
     "must be integers."),
)
