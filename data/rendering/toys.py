"""The toys: plush animals with fur that walk, and more. Each is about one unit long, stands at z = 0, looks along +x."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import materials as m
from .shapes import ball, empty, fur, fuse, key, number, torus, waves

BLACK, WHITE, CREAM = (0.012, 0.01, 0.01), (0.8, 0.78, 0.74), (0.72, 0.58, 0.42)


@dataclass
class Toy:
    """A toy: its root carries it over the ground; `joints` are what moves on it, by name."""

    name: str
    root: object
    joints: dict = field(default_factory=dict)
    reach: float = 0.5  # half its length, for placing

    def label(self, index: int) -> "Toy":
        number(self.root, index)
        return self


def coat_of(base, second, patches: float = 0.0, seed: int = 0, scale: float = 5.0, kind: str = "patches") -> Callable:
    """A coat: colours (N, 3) at points. `patches` is the share in the second colour, -1 for none.

    Kinds: 'patches', 'spots', 'stripes' (a tabby's), 'belly' (lighter below), 'plain'.
    """
    base, second = np.array(base), np.array(second)

    def coat(points: np.ndarray) -> np.ndarray:
        if kind == "stripes":
            field_ = np.sin(points[:, 0] * scale * 4.4 + 1.2 * waves(points, 4, seed)) - 1 + 1.6 * patches
        elif kind == "spots":
            field_ = waves(points, scale * 2.6, seed) - 1.1 + patches
        elif kind == "belly":
            field_ = (patches - points[:, 2]) * 14 + 0.6 * waves(points, 9, seed)
        elif kind == "patches":
            field_ = waves(points, scale, seed) - 1.0 + 2 * patches
        else:
            field_ = np.full(len(points), -1.0)
        share = np.clip(field_ * 6 + 0.5, 0, 1)[:, None]
        shade = 1 + 0.16 * waves(points, 14, seed + 5)[:, None]
        return np.clip((base * (1 - share) + second * share) * shade, 0, 1)

    return coat


class Plush:
    """Materials and habits that the parts of one plush animal share."""

    def __init__(self, name: str, length: float, density: float, curl: float = 0.0, thick: float = 0.0035, seed: int = 0):
        self.name, self.length, self.density, self.curl, self.thick, self.seed = name, length, density, curl, thick, seed
        self.skin, self.hair = m.attribute_cloth(f"{name} skin"), m.strands(f"{name} hair")
        self.dark = m.plastic(f"{name} dark", BLACK, 0.12, 0.0)

    def part(self, name, blobs, coat, parent, at=(0, 0, 0), flow=(-0.7, 0, -0.5), length=1.0, bare=None, voxel=0.022):
        """A fused, furry body part."""
        self.seed += 1
        body = fuse(f"{self.name} {name}", self.skin, blobs, coat, parent, at, voxel)
        if self.density:
            fur(body, self.hair, coat, self.density, self.length * length, flow, thick=self.thick, curl=self.curl,
                seed=self.seed, bare=bare)
        return body

    def eyes(self, head, at, size, lid=None):
        """Two glossy eyes, mirrored in y."""
        for side in (-1, 1):
            ball(f"{self.name} eye", self.dark, (size, size, size), head, (at[0], at[1] * side, at[2]), detail=3)


def dog(name: str, coat, trim, collar=None, sweater=None, ear=None, length: float = 0.045, density: float = 16000,
        seed: int = 0) -> Toy:
    """A stuffed dog; coat and trim (muzzle, paws, ears unless given) are functions of `coat_of`."""
    p = Plush(name, length, density, seed=seed)
    root = empty(name)
    torso = empty(f"{name} torso", root, (0, 0, 0.5))
    p.part("trunk", [((0.2, 0, 0.06), (0.24, 0.2, 0.22)), ((-0.05, 0, 0.04), (0.3, 0.185, 0.19)),
                     ((-0.27, 0, 0.05), (0.19, 0.185, 0.2)), ((0.35, 0, 0.2), (0.13, 0.125, 0.2), (0, 0.4, 0))], coat, torso)
    if sweater:
        shell = fuse(f"{name} sweater", sweater, [((0.18, 0, 0.06), (0.21, 0.232, 0.25)), ((-0.04, 0, 0.04), (0.25, 0.222, 0.23))],
                     lambda q: np.ones((len(q), 3)), torso)
        shell.modifiers.new("thick", "SOLIDIFY").thickness = 0.015
    if collar:
        torus(f"{name} collar", collar, 0.15, 0.03, torso, (0.4, 0, 0.24), (0, 0.55, 0))
        ball(f"{name} tag", m.metal(f"{name} tag", (0.8, 0.6, 0.2), 0.2), (0.012, 0.045, 0.045), torso, (0.53, 0, 0.12))
    head = empty(f"{name} head", torso, (0.42, 0, 0.34))
    muzzle = lambda q: np.where((q[:, :1] > 0.16) | ((np.abs(q[:, 1:2]) < 0.035) & (q[:, 2:3] > 0.1)), trim(q), coat(q))  # noqa: E731
    p.part("head", [((0.04, 0, 0.05), (0.19, 0.185, 0.18)), ((0.2, 0, -0.02), (0.14, 0.1, 0.085)),
                    ((0.1, 0.09, -0.03), (0.1, 0.08, 0.09)), ((0.1, -0.09, -0.03), (0.1, 0.08, 0.09))], muzzle, head,
           flow=(-0.8, 0, -0.1), length=0.6, bare=lambda q: (np.abs(np.abs(q[:, 1]) - 0.085) < 0.03) & (abs(q[:, 2] - 0.1) < 0.03)
           & (q[:, 0] > 0.12))
    p.eyes(head, (0.205, 0.085, 0.095), 0.032)
    ball(f"{name} nose", p.dark, (0.035, 0.05, 0.036), head, (0.345, 0, 0.015), detail=3)
    tongue = m.cloth(f"{name} tongue", "plain", (0.6, 0.1, 0.12), (0.5, 0.08, 0.1))
    ball(f"{name} tongue", tongue, (0.07, 0.04, 0.012), head, (0.26, 0, -0.105), (0, 0.5, 0), detail=3)
    joints = {"torso": torso, "head": head}
    for side, word in ((1, "left"), (-1, "right")):
        joint = empty(f"{name} ear {word}", head, (-0.01, 0.15 * side, 0.15))
        p.part(f"ear {word}", [((-0.01, 0.03 * side, -0.04), (0.07, 0.03, 0.09)), ((0.01, 0.05 * side, -0.15), (0.085, 0.032, 0.12))],
               ear or trim, joint, flow=(-0.2, 0, -1), length=0.8, voxel=0.016)
        joints[f"ear {word}"] = joint
        for x, end in ((0.24, "fore"), (-0.29, "hind")):
            leg = empty(f"{name} {end} {word}", torso, (x, 0.115 * side, 0.0))
            paw = lambda q: np.where(q[:, 2:3] < -0.36, trim(q), coat(q))  # noqa: E731
            thigh = 0.13 if end == "hind" else 0.11
            p.part(f"{end} {word}", [((0, 0, -0.07), (thigh, 0.085, 0.16)), ((0, 0, -0.26), (0.07, 0.066, 0.2)),
                                     ((0.035, 0, -0.43), (0.11, 0.08, 0.07))], paw, leg, flow=(-0.2, 0, -1), length=0.7)
            joints[f"{end} {word}"] = leg
    tail = empty(f"{name} tail", torso, (-0.44, 0, 0.15))
    p.part("tail", [((-0.03, 0, 0.03), (0.07, 0.06, 0.07)), ((-0.09, 0, 0.13), (0.055, 0.055, 0.11), (0, -0.4, 0)),
                    ((-0.11, 0, 0.24), (0.045, 0.045, 0.08))], trim, tail, flow=(-0.3, 0, 0.6), length=1.1, voxel=0.016)
    return Toy(name, root, {**joints, "tail": tail}, 0.55)


def walk(toy: Toy, frames: int, path: Callable, ground: Callable, pace: float = 0.55, phase: float = 0.0, lively: float = 1.0,
         sit: Callable | None = None, rate: float = 24.0) -> None:
    """Keyframes a four-legged walk.

    Args:
        path: frame -> (x, y, heading in radians).
        ground: (x, y) -> height.
        pace: strides (of both diagonals) a unit of way.
        sit: frame -> 0 (stands) to 1 (sits), optional.
    """
    j, way, last = toy.joints, 0.0, None
    for frame in range(-1, frames + 2):
        x, y, heading = path(frame)
        if last is not None:
            way += math.dist((x, y), last[:2]) + 0.25 * abs(heading - last[2])
        speed = 0 if last is None else math.dist((x, y), last[:2]) + 0.25 * abs(heading - last[2])
        last, time = (x, y, heading), frame / rate
        down = sit(frame) if sit else 0.0
        swing = math.sin(2 * math.pi * pace * way * 2 + phase) * min(1, speed / 0.012) * (1 - down)
        key(toy.root, frame, (x, y, ground(x, y) + 0.02 * abs(swing)), (0, 0, heading))
        key(j["torso"], frame, (0.05 * down, 0, 0.5 - 0.12 * down), (0.05 * swing, -0.75 * down, 0.05 * swing))
        key(j["head"], frame, turn=(0.14 * lively * math.sin(2.3 * time + phase), 0.6 * down + 0.1 * math.sin(3.1 * time + phase),
                                    0.45 * lively * math.sin(1.9 * time + 2 * phase)))
        key(j["tail"], frame, turn=(0.6 * lively * math.sin(14 * time + phase), 0, 0))
        for side, word in ((1, "left"), (-1, "right")):
            key(j[f"ear {word}"], frame, turn=(side * (0.1 + 0.12 * abs(swing)), 0.15 * swing, 0))
            key(j[f"fore {word}"], frame, turn=(0, 0.5 * swing * side + 0.55 * down, 0))
            key(j[f"hind {word}"], frame, turn=(0, -0.5 * swing * side - 0.75 * down, 0))
