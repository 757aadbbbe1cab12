"""What several test files make: small textured videos and what finds their objects, folders of frames, a fake recording."""

from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from vosedu.commands import main
from vosedu.config import WHOLE
from vosedu.evaluation.metrics import jaccard
from vosedu.files.images import read_mask, write_mask

OUTLINES = (
    ((-9, -10), (-2, -10), (-2, 3), (9, 3), (9, 10), (-9, 10)),  # an L
    ((10, 0), (0, -10), (0, -4), (-10, -4), (-10, 4), (0, 4), (0, 10)),  # an arrow
    ((-10, -6), (2, -10), (10, -2), (8, 10), (2, 10), (3, 1), (-6, 3)),  # a comma
)
"""(x, y) of each object's corners: none is symmetric enough to hide that it was turned, mirrored or exchanged."""

COLOURS = ((200, 60, 50), (40, 60, 210), (220, 210, 60))

ROOM = (128, 176)
"""Frames in which FINDS follows one or two shapes; smaller ones leave an object too few positions of conv4_x."""

FINDS = replace(WHOLE, samples=4, gn_steps=2, projection_decay=1.0, filter_decay=1.0)
"""Quick, and finds what moves in frames as small as ROOM: WHOLE's lambda of 1000 outweighs so few pixels."""

QUICK = ["--samples", "4", "--gn-steps", "2", "--projection-decay", "1", "--filter-decay", "1", "--short-side", "0",
         "--window-share", "0", "--leap", "0", "--nearest", "0", "--quiet", "--device", "cpu"]
"""FINDS as flags."""


def moving_shapes(frames=6, size=(96, 128), objects=1, step=5, turn=9, radius=None, absent=None, covered=()):
    """Textured polygons that move right and turn over a textured ground, each in a lane of its own.

    Args:
        step, turn: pixels and degrees a frame.
        radius: about half of an object's extent; by default it fills its lane.
        absent: object id -> the frames it is not in: `range(3)` enters late, `range(4, 6)` leaves and returns.
        covered: frames in which a wall hides everything.

    Returns:
        uint8 frames (T, H, W, 3) and ids (T, H, W).
    """
    rng = np.random.default_rng(0)
    height, width = size
    radius = radius or 0.45 * height / max(objects, 2)

    def texture(colour):
        noise = cv2.resize(rng.normal(0, 35, (8, 10)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        return np.clip(np.array(colour) + noise[..., None], 0, 255).astype(np.uint8)

    ground, wall, *coats = map(texture, ((90, 120, 60), (130, 130, 130), *COLOURS[:objects]))
    images, labels = np.stack([ground] * frames), np.zeros((frames, *size), np.uint8)
    for t in range(frames):
        spin = cv2.getRotationMatrix2D((0, 0), turn * t, radius / 12)[:, :2]
        for n in range(objects):
            if t not in (absent or {}).get(n + 1, ()):
                corners = np.array(OUTLINES[n]) @ spin.T + (1.1 * radius + step * t, height * (2 * n + 1) / (2 * objects))
                shape = cv2.fillPoly(np.zeros(size, np.uint8), [corners.round().astype(np.int32)], 1) > 0
                images[t][shape], labels[t][shape] = np.roll(coats[n], step * t, 1)[shape], n + 1
        if t in covered:
            images[t], labels[t] = wall, 0
    return images, labels


def assert_found(masks, truth, least=0.3):
    """Every object of every frame is found with J above `least`: equal masks prove nothing where all are empty."""
    for t, (mask, ids) in enumerate(zip(masks, truth, strict=True)):
        for i in np.unique(ids[ids > 0]):
            assert jaccard(mask == i, ids == i) > least, f"object {i}, mask {t}"


def assert_remembered(video):
    """M holds samples of later frames, with a weight, for every object."""
    first, filled = video.targets.memory.first, video.targets.memory.filled
    assert filled > first
    for gamma, projected in zip(video.targets.memory.gamma, video.targets.memory.projected, strict=True):
        assert gamma[first:filled].max() > 0 and projected[first:filled].abs().max() > 0


def save_frames(folder, frames, names=None):
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / (names[index] if names else f"{index:05d}.png"))
    return folder


def anew(function, *_tensors, **rest):
    """A recording that computes."""
    return lambda *tensors: function(*tensors, **rest)


DOUBLE = torch.float64


def relative(found, expected):
    """How far two tensors are apart, as a share of the second."""
    return float((found - expected).norm() / expected.norm().clamp_min(1e-300))


def random_problem(seed, objects, samples, features, size, label_size):
    """Features (N, K, C, h, w), labels (N, K, H, W) of zeros and ones, and gamma (N, K), at random and in float64."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(objects, samples, features, *size, generator=g, dtype=DOUBLE)
    y = (torch.rand(objects, samples, *label_size, generator=g, dtype=DOUBLE) < 0.3).to(DOUBLE)
    gamma = torch.rand(objects, samples, generator=g, dtype=DOUBLE)
    return x, y, gamma / gamma.sum(dim=1, keepdim=True)


class Rosenbrock:
    """r = (1 - x, 10 (y - x²)): zero residual at (1, 1), so Gauss-Newton converges to it."""

    def loss(self, w):
        return (1 - w[:, 0]) ** 2 + 100 * (w[:, 1] - w[:, 0] ** 2) ** 2

    def linearise(self, w):
        x, y = w.unbind(1)
        r = torch.stack([1 - x, 10 * (y - x * x)], 1)
        j = torch.stack([torch.stack([-torch.ones_like(x), 0 * x], 1), torch.stack([-20 * x, 10 + 0 * x], 1)], 1)
        return (j.mT @ r[..., None])[..., 0], lambda p: (j.mT @ (j @ p[..., None]))[..., 0]


class Means:
    """The simplest other target model: how much nearer features are to the mean on the object than to the mean elsewhere."""

    def __init__(self, config):
        self.means, self.remembered, self.updates = [], [], 0

    def learn(self, samples, seed):
        inside = F.interpolate(samples.labels[:1, None], size=samples.size, mode="area").flatten()
        x = samples.features[0, 0]
        self.means.append(torch.stack([(x * w).sum(1) / w.sum() for w in (inside, 1 - inside)]))

    def scores(self, features):
        far = [torch.stack([(features - m[:, None, None]).square().sum(0) for m in pair]) for pair in self.means]
        return torch.stack([d[1] / d.sum(0) for d in far])

    def remember(self, masks):
        self.remembered.append(masks.shape)

    def update(self):
        self.updates += 1

    def state(self):
        return {"means": torch.stack(self.means)}

    def load(self, state):
        self.means = list(state["means"])


def write_clip(folder, frames):
    """`clip`, so many frames of two objects, and their first mask `first.png` in a folder; returns the folder."""
    images, labels = moving_shapes(frames, ROOM, objects=2)
    save_frames(folder / "clip", images)
    write_mask(folder / "first.png", labels[0])
    return folder


def segment(folder, name, *flags):
    """The command `segment` on `clip` and `first.png` in a folder, quickly, into `name` beside them; its exit status."""
    return main(["segment", str(folder / "clip"), "--masks", str(folder / "first.png"), "--out", str(folder / name), *QUICK,
                 *map(str, flags)])


def assert_clip_found(folder, frames, least=0.3):
    """The masks in a folder show both objects of each later frame of a clip of so many frames."""
    truth = moving_shapes(frames, ROOM, objects=2)[1]
    assert_found([read_mask(folder / f"{i:05d}.png") for i in range(1, frames)], truth[1:], least)


class ScriptedClock:
    """Stands for `evaluation.timing.Clock`: runs what it is to time, and says the seconds that it was told.

    Args:
        one: seconds of single calls, in their order.
        several: seconds by name for calls in turn.
    """

    device = torch.device("cpu")

    def __init__(self, *one, **several):
        self.one, self.several, self.asked = list(one), several, []

    def __call__(self, call):
        call()
        return self.one.pop(0)

    def in_turn(self, repeats, **calls):
        self.asked.append((repeats, list(calls)))
        for call in calls.values():
            call()
        return {name: self.several[name] for name in calls}
