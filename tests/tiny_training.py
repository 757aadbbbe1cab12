"""Sequences of disks and a training of four steps on them, for tests of everything that trains."""

from dataclasses import replace

import cv2
import numpy as np

from vosedu.config import FAST
from vosedu.segmenter import Segmenter
from vosedu.training.offline import Training
from vosedu.training.samples import Recipe
from vosedu.training.shots import Shot

TINY = replace(FAST, samples=2, channels=8, gn_steps=2, cg_later=3)


class Disks:
    """Six disks of six colours on noise, each a sequence; another shot has it elsewhere."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return 6

    def key(self, index):
        return str(index)

    scene = key

    def reference(self, index):
        return self.draw(index, np.random.default_rng(100 + index))

    def draw(self, index, rng):
        centre = tuple(int(rng.integers(20, n - 20)) for n in self.size[::-1])
        mask = cv2.circle(np.zeros(self.size, np.uint8), centre, 16, 1, -1)
        frame = rng.integers(60, 120, (*self.size, 3)).astype(np.uint8)
        frame[mask > 0] = np.roll([220, 40, 90], index) if index < 3 else np.roll([30, 200, 210], index)
        return Shot(frame, mask)


class Scripted:
    """A random generator whose answers are known: `Scripted(normal=[...], uniform=[...])` gives them in turn.

    `asked` has the arguments of every call, by the name of the method.
    """

    def __init__(self, **answers):
        self.answers, self.asked = {name: list(values) for name, values in answers.items()}, {name: [] for name in answers}

    def __getattr__(self, name):
        def draw(*args):
            self.asked[name].append(args)
            return self.answers[name].pop(0)

        return draw


def training(out, steps=4, start=None, kind=Training, precision="float32", **recipe):
    recipe = Recipe(steps=steps, batch=2, height=64, **recipe)
    segmenter = Segmenter.from_pretrained(config=TINY, device="cpu", precision=precision)
    return kind(segmenter, [(Disks(recipe.size), 1)], recipe, out, start), Disks(recipe.size)
