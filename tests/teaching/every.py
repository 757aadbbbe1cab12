"""One widget of each kind on a video of a moving L: small, and quick to draw."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from teaching.known import CELLS, Reddish, features_of, mask_of, moved

from vosedu.config import BEST
from vosedu.files.clip import Clip
from vosedu.segmenter import FirstFrame
from vosedu.teaching.augmentation import WarpBench
from vosedu.teaching.evaluation import CurveReader
from vosedu.teaching.features import Probe
from vosedu.teaching.gauss_newton_cg import Microscope
from vosedu.teaching.inference_and_updating import MemoryStrip
from vosedu.teaching.offline_training import TrainingView
from vosedu.teaching.player import Player
from vosedu.teaching.refinement import BlobBench, DepthBench
from vosedu.teaching.the_field import FieldBench, Run
from vosedu.teaching.tour import Tour
from vosedu.teaching.weighted_l2_loss import Relearner

CONFIG = replace(BEST, samples=3, channels=4, gn_steps=2, cg_first=2, cg_later=3, projection_decay=1.0, filter_decay=1.0)
LABELS = [mask_of(moved(CELLS, 0, right)) for right in range(4)]
FRAMES = [label[..., None] * np.uint8([200, 60, 30]) + np.uint8([20, 60 + 10 * k, 20]) for k, label in enumerate(LABELS)]
SCORES = [label[8::16, 8::16] + 0.1 * k for k, label in enumerate(LABELS)]
MAPS = [torch.ones(1, 2, 2, 2) * d for d in range(5)]


def upsampled(features, scores, size):
    """What stands for R: the scores, enlarged; less where a depth is off."""
    on = sum(float(x.any()) for x in features[1:]) / 4
    return torch.nn.functional.interpolate(scores[None].float(), size=size, mode="bilinear")[0] - 1.3 + on


def memory():
    """A strip of five samples over four frames."""
    gammas = np.array([[0.6, 0.4, 0, 0, 0], [0.5, 0.3, 0.2, 0, 0], [0.4, 0.2, 0.2, 0.2, 0], [0.3, 0.2, 0.1, 0.2, 0.2]])
    return MemoryStrip([*FRAMES, FRAMES[0] // 2], gammas, first=2)


def training():
    """A view of three checkpoints."""
    small = SimpleNamespace(frame=FRAMES[0], mask=LABELS[0])
    view = TrainingView(SimpleNamespace(draw=lambda index, rng: small))
    view.widget._repr_mimebundle_()  # displayed before the training, as in the notebook
    for k in range(3):
        logits = torch.from_numpy(LABELS[k].astype(np.float32))[None] * (k + 1) - 0.5
        answer = logits, None
        view(SimpleNamespace(step=10 * k, trained=lambda: None, logits=lambda net, clips, frames, answer=answer: answer))
    return view


def field():
    """Two families on two clips."""
    clips = {name: Clip(name, np.stack(FRAMES), np.stack(LABELS)) for name in ("one", "two")}
    runs = {"D": Run(SCORES[1:], np.array([0.9, 0.8, 0.7]), 0.1), "ridge": Run(SCORES[:3], np.array([0.6, 0.5, 0.4]), 0.2)}
    return FieldBench(clips, {"one": runs, "two": runs})


def toured():
    """A tour that has run."""
    tour = Tour(None)
    tour.player = Player(FRAMES, SCORES, LABELS, [f[::16, ::16] for f in FRAMES])
    return tour


def every_widget():
    """Name of the class -> a widget of it, none displayed yet but the training's."""
    places = [moved(CELLS, 0, right) for right in range(3)]
    features = torch.stack([features_of(cells, seed) for seed, cells in enumerate(places)])
    labels = torch.from_numpy(np.stack(LABELS[:3])).float()
    samples = FirstFrame(np.stack(FRAMES[:3]), labels, features.flatten(2)[None], (6, 8))
    maps = [[features_of(moved(CELLS, 0, right), d)[None] for d in range(5)] for right in (0, 2)]
    engine = SimpleNamespace(logits=upsampled)
    scores = torch.from_numpy(SCORES[0]).float()
    made = [
        toured(), Player(FRAMES, SCORES, LABELS), Probe(FRAMES[:2], maps),
        Relearner([FRAMES[0], FRAMES[2]], samples, features_of(moved(CELLS, 0, 2), 9), CONFIG),
        Microscope(FRAMES[0], samples, CONFIG), WarpBench(FRAMES[0], LABELS[0], Reddish()),
        BlobBench(engine, FRAMES[0], scores, MAPS), DepthBench(engine, FRAMES[0], scores, MAPS, LABELS[0]),
        memory(), training(), field(),
        CurveReader({"long": (FRAMES, LABELS[:1] * 4, LABELS, SCORES),
                     "short": (FRAMES[:3], LABELS[:3], LABELS[1:], SCORES[:3])}),
    ]
    return {type(widget).__name__: widget for widget in made}
