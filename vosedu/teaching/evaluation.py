"""Notebook 08: J and F, frame by frame."""

import threading
from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
import torch

from ..evaluation import metrics
from .exercise import Exercise, Wrong
from .pictures import boundary_picture, chart, jpeg, score_picture, with_scale


class CurveReader:
    """J over frames, and behind each point its frame: the score map, and the mask's boundary as F sees it.

    Args:
        videos: name -> frames uint8 RGB (H, W, 3), predicted ids (H, W), true ids (H, W) and score maps (h, w), as many of
            each; object 1 is looked at.

    Attributes:
        video: dropdown; index: slider over frames.
        curves: name -> J of every frame.
        image, widget: as in `Player`.
    """

    def __init__(self, videos: dict[str, tuple[Sequence[np.ndarray], ...]]):
        self.videos = videos
        self.curves = {
            name: np.array([metrics.jaccard(p == 1, y == 1) for p, y in zip(labels, truth, strict=True)])
            for name, (_, labels, truth, _) in videos.items()
        }
        self.video = ipywidgets.Dropdown(options=list(videos), description="video")
        self.index = ipywidgets.IntSlider(min=0, max=1, description="scored")
        width = next(iter(videos.values()))[0][0].shape[1]
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * width))
        self._lock = threading.Lock()
        self.video.observe(self._open, "value")
        self.index.observe(self._draw, "value")
        self._open()
        self.widget = ipywidgets.VBox([self.video, self.image, self.index])

    def _open(self, _change: object = None) -> None:
        curve = self.curves[self.video.value]
        self.index.max = len(curve) - 1
        self.index.value = int(curve.argmin())  # the frame that one would ask about
        self._draw()

    def picture(self, name: str, index: int) -> np.ndarray:
        """Score map and boundaries of a frame, the curve below; uint8 RGB."""
        frames, labels, truth, scores = self.videos[name]
        frame = frames[index]
        above = np.hstack([with_scale(score_picture(scores[index], frame)),
                           boundary_picture(frame, labels[index] == 1, truth[index] == 1)])
        size = above.shape[0] // 2, above.shape[1]
        return np.vstack([above, chart(self.curves[name], index, size, f"scored frame {index + 1}, J", (0, 1))])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.video.value, self.index.value))


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


jaccard = Exercise(
    "jaccard", _jaccard,
    ("Count the pixels in both masks, and the pixels in at least one.",
     "On boolean arrays: (a & b).sum() / (a | b).sum(); and think of two empty masks."),
)
summary = Exercise(
    "summary", _summary,
    ("First cut the curve: j[1:-1]. Recall is the mean of a comparison.",
     "b = np.round(np.linspace(0, n - 1, 5)).astype(int); the first quarter is x[: b[1] + 1], the last x[b[3] :]."),
)
