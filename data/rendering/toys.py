"""The toys: plush animals with fur that walk, vehicles, a bicycle, and things that stand about.

Each toy is about one unit long, stands at z = 0 and looks along +x.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import bpy
import numpy as np

from . import materials as m
from .shapes import ball, box, empty, family, fur, fuse, key, lathe, letters, number, torus, tube, waves

BLACK, CREAM, SNOW = (0.012, 0.01, 0.01), (0.74, 0.58, 0.4), (0.8, 0.77, 0.72)
TAN, RUST, GREY, CHOCOLATE = (0.42, 0.22, 0.085), (0.3, 0.11, 0.035), (0.22, 0.21, 0.2), (0.085, 0.04, 0.02)


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


def twin(toy: Toy, name: str) -> Toy:
    """A second toy that shares the first one's meshes and fur; make it before the first is animated."""
    copies = {}
    for thing in family(toy.root):
        copies[thing] = thing.copy()
        bpy.context.collection.objects.link(copies[thing])
    for thing, copy in copies.items():
        if thing.parent in copies:
            copy.parent = copies[thing.parent]
    root = copies[toy.root]
    root.name = name
    return Toy(name, root, {word: copies[joint] for word, joint in toy.joints.items()}, toy.reach)


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


def plain(points: np.ndarray) -> np.ndarray:
    """White (N, 3): the coat of parts whose material has its own colour."""
    return np.ones((len(points), 3))


def marked(where: Callable, mark: Callable, coat: Callable) -> Callable:
    """A coat with a marking: `mark` where where(points (N, 3)) -> (N,) holds, `coat` elsewhere."""
    return lambda points: np.where(where(points)[:, None], mark(points), coat(points))


class Plush:
    """Materials and habits that the parts of one plush animal share."""

    def __init__(self, name: str, length: float, density: float, curl: float = 0.0, thick: float = 0.003, seed: int = 0):
        self.name, self.length, self.density, self.seed = name, length, density, seed
        self.curl, self.thick = curl, thick
        self.skin, self.hair = m.attribute_cloth(f"{name} skin"), m.strands(f"{name} hair")
        self.dark = m.plastic(f"{name} dark", BLACK, 0.12, 0.0)

    def part(self, name, blobs, coat, parent, at=(0, 0, 0), flow=(-0.7, 0, -0.5), length=1.0, bare=None, voxel=0.022):
        """A fused, furry body part."""
        self.seed += 1
        body = fuse(f"{self.name} {name}", self.skin, blobs, coat, parent, at, voxel)
        if self.density:
            fur(
                body,
                self.hair,
                coat,
                self.density,
                self.length * length,
                flow,
                thick=self.thick,
                curl=self.curl,
                seed=self.seed,
                bare=bare,
            )
        return body

    def eyes(self, head, at, size, lid=None):
        """Two glossy eyes, mirrored in y."""
        for side in (-1, 1):
            ball(f"{self.name} eye", self.dark, (size, size, size), head, (at[0], at[1] * side, at[2]), detail=3)


def dog(
    name: str, coat, trim, collar=None, sweater=None, ear=None, length: float = 0.045, density: float = 16000, seed: int = 0
) -> Toy:
    """A stuffed dog; coat and trim (muzzle, paws, ears unless given) are functions of `coat_of`."""
    p = Plush(name, length, density, seed=seed)
    root = empty(name)
    torso = empty(f"{name} torso", root, (0, 0, 0.5))
    p.part(
        "trunk",
        [
            ((0.2, 0, 0.06), (0.24, 0.2, 0.22)),
            ((-0.05, 0, 0.04), (0.3, 0.185, 0.19)),
            ((-0.27, 0, 0.05), (0.19, 0.185, 0.2)),
            ((0.35, 0, 0.2), (0.13, 0.125, 0.2), (0, 0.4, 0)),
        ],
        coat,
        torso,
    )
    if sweater:
        shell = fuse(
            f"{name} sweater",
            sweater,
            [((0.18, 0, 0.06), (0.21, 0.232, 0.25)), ((-0.04, 0, 0.04), (0.25, 0.222, 0.23))],
            plain,
            torso,
        )
        shell.modifiers.new("thick", "SOLIDIFY").thickness = 0.015
    if collar:
        torus(f"{name} collar", collar, 0.15, 0.03, torso, (0.4, 0, 0.24), (0, 0.55, 0))
        ball(f"{name} tag", m.metal(f"{name} tag", (0.8, 0.6, 0.2), 0.2), (0.012, 0.045, 0.045), torso, (0.53, 0, 0.12))
    head = empty(f"{name} head", torso, (0.42, 0, 0.34))
    muzzle = marked(lambda q: (q[:, 0] > 0.16) | ((np.abs(q[:, 1]) < 0.035) & (q[:, 2] > 0.1)), trim, coat)
    p.part(
        "head",
        [
            ((0.04, 0, 0.05), (0.19, 0.185, 0.18)),
            ((0.2, 0, -0.02), (0.14, 0.1, 0.085)),
            ((0.1, 0.09, -0.03), (0.1, 0.08, 0.09)),
            ((0.1, -0.09, -0.03), (0.1, 0.08, 0.09)),
        ],
        muzzle,
        head,
        flow=(-0.8, 0, -0.1),
        length=0.6,
        bare=lambda q: (np.abs(np.abs(q[:, 1]) - 0.085) < 0.03) & (abs(q[:, 2] - 0.1) < 0.03) & (q[:, 0] > 0.12),
    )
    p.eyes(head, (0.205, 0.085, 0.095), 0.032)
    ball(f"{name} nose", p.dark, (0.035, 0.05, 0.036), head, (0.345, 0, 0.015), detail=3)
    tongue = m.cloth(f"{name} tongue", "plain", (0.6, 0.1, 0.12), (0.5, 0.08, 0.1))
    ball(f"{name} tongue", tongue, (0.07, 0.04, 0.012), head, (0.26, 0, -0.105), (0, 0.5, 0), detail=3)
    joints = {"torso": torso, "head": head}
    for side, word in ((1, "left"), (-1, "right")):
        joint = empty(f"{name} ear {word}", head, (-0.01, 0.15 * side, 0.15))
        p.part(
            f"ear {word}",
            [((-0.01, 0.03 * side, -0.04), (0.07, 0.03, 0.09)), ((0.01, 0.05 * side, -0.15), (0.085, 0.032, 0.12))],
            ear or trim,
            joint,
            flow=(-0.2, 0, -1),
            length=0.8,
            voxel=0.016,
        )
        joints[f"ear {word}"] = joint
        for x, end in ((0.24, "fore"), (-0.29, "hind")):
            leg = empty(f"{name} {end} {word}", torso, (x, 0.115 * side, 0.0))
            paw = marked(lambda q: q[:, 2] < -0.36, trim, coat)
            thigh = 0.13 if end == "hind" else 0.11
            p.part(
                f"{end} {word}",
                [
                    ((0, 0, -0.07), (thigh, 0.08, 0.16)),
                    ((0, 0, -0.26), (0.058, 0.055, 0.2)),
                    ((0.035, 0, -0.43), (0.095, 0.066, 0.062)),
                ],
                paw,
                leg,
                flow=(-0.2, 0, -1),
                length=0.7,
            )
            joints[f"{end} {word}"] = leg
    tail = empty(f"{name} tail", torso, (-0.4, 0, 0.15))
    p.part(
        "tail",
        [
            ((0.0, 0, 0.01), (0.09, 0.065, 0.08)),
            ((-0.07, 0, 0.12), (0.055, 0.055, 0.11), (0, -0.4, 0)),
            ((-0.09, 0, 0.23), (0.045, 0.045, 0.09)),
        ],
        trim,
        tail,
        flow=(-0.3, 0, 0.6),
        length=1.1,
        voxel=0.016,
    )
    return Toy(name, root, {**joints, "tail": tail}, 0.55)


def walk(
    toy: Toy,
    frames: int,
    path: Callable,
    ground: Callable,
    pace: float = 0.55,
    phase: float = 0.0,
    lively: float = 1.0,
    sit: Callable | None = None,
    rate: float = 24.0,
) -> None:
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
        key(
            j["head"],
            frame,
            turn=(
                0.14 * lively * math.sin(2.3 * time + phase),
                0.6 * down + 0.1 * math.sin(3.1 * time + phase),
                0.45 * lively * math.sin(1.9 * time + 2 * phase),
            ),
        )
        key(j["tail"], frame, turn=(0.6 * lively * math.sin(14 * time + phase), 0, 0))
        for side, word in ((1, "left"), (-1, "right")):
            key(j[f"ear {word}"], frame, turn=(side * (0.1 + 0.12 * abs(swing)), 0.15 * swing, 0))
            key(j[f"fore {word}"], frame, turn=(0, 0.5 * swing * side + 0.55 * down, 0))
            key(j[f"hind {word}"], frame, turn=(0, -0.5 * swing * side - 0.75 * down, 0))


def cat(name: str, coat, trim, collar=None, length: float = 0.03, density: float = 17000, seed: int = 0) -> Toy:
    """A plush cat: slim, pointed ears, a long tail of four joints."""
    p = Plush(name, length, density, seed=seed, thick=0.0028)
    root = empty(name)
    torso = empty(f"{name} torso", root, (0, 0, 0.5))
    p.part(
        "trunk",
        [
            ((0.2, 0, 0.04), (0.19, 0.14, 0.17)),
            ((-0.03, 0, 0.03), (0.28, 0.135, 0.15)),
            ((-0.26, 0, 0.03), (0.18, 0.145, 0.17)),
            ((0.32, 0, 0.15), (0.11, 0.1, 0.16), (0, 0.5, 0)),
        ],
        coat,
        torso,
    )
    if collar:
        torus(f"{name} collar", collar, 0.115, 0.02, torso, (0.37, 0, 0.2), (0, 0.6, 0))
        ball(
            f"{name} bell",
            m.metal(f"{name} bell", (0.8, 0.6, 0.2), 0.2),
            (0.03, 0.03, 0.03),
            torso,
            (0.475, 0, 0.115),
            detail=3,
        )
    head = empty(f"{name} head", torso, (0.4, 0, 0.3))
    face = marked(lambda q: (q[:, 0] > 0.13) & (q[:, 2] < 0.06), trim, coat)
    p.part(
        "head",
        [
            ((0.03, 0, 0.04), (0.165, 0.175, 0.15)),
            ((0.14, 0.035, -0.02), (0.075, 0.055, 0.05)),
            ((0.14, -0.035, -0.02), (0.075, 0.055, 0.05)),
            ((0.06, 0.1, -0.02), (0.09, 0.07, 0.08)),
            ((0.06, -0.1, -0.02), (0.09, 0.07, 0.08)),
        ],
        face,
        head,
        flow=(-0.8, 0, 0.1),
        length=0.6,
        bare=lambda q: (np.abs(np.abs(q[:, 1]) - 0.075) < 0.035) & (abs(q[:, 2] - 0.075) < 0.035) & (q[:, 0] > 0.1),
    )
    iris = m.plastic(f"{name} iris", (0.3, 0.42, 0.06), 0.08, 0.0)
    for side in (-1, 1):
        ball(f"{name} eye", iris, (0.035, 0.036, 0.036), head, (0.158, 0.075 * side, 0.075), detail=3)
        ball(f"{name} pupil", p.dark, (0.012, 0.014, 0.028), head, (0.186, 0.08 * side, 0.076), detail=3)
    ball(
        f"{name} nose",
        m.plastic(f"{name} pink", (0.6, 0.2, 0.2), 0.4),
        (0.016, 0.022, 0.015),
        head,
        (0.213, 0, 0.005),
        detail=3,
    )
    joints = {"torso": torso, "head": head}
    for side, word in ((1, "left"), (-1, "right")):
        joint = empty(f"{name} ear {word}", head, (0.0, 0.105 * side, 0.15))
        p.part(
            f"ear {word}",
            [
                ((0, 0.0, 0.0), (0.03, 0.065, 0.06)),
                ((0, 0.012 * side, 0.06), (0.022, 0.042, 0.06)),
                ((0, 0.02 * side, 0.11), (0.014, 0.018, 0.05)),
            ],
            coat,
            joint,
            flow=(-0.3, 0, 0.8),
            length=0.6,
            voxel=0.012,
        )
        joints[f"ear {word}"] = joint
        for x, end in ((0.24, "fore"), (-0.29, "hind")):
            leg = empty(f"{name} {end} {word}", torso, (x, 0.085 * side, 0.0))
            paw = marked(lambda q: q[:, 2] < -0.36, trim, coat)
            thigh = 0.12 if end == "hind" else 0.085
            p.part(
                f"{end} {word}",
                [
                    ((0, 0, -0.06), (thigh, 0.065, 0.15)),
                    ((0, 0, -0.26), (0.046, 0.045, 0.2)),
                    ((0.03, 0, -0.445), (0.075, 0.05, 0.05)),
                ],
                paw,
                leg,
                flow=(-0.2, 0, -1),
                length=0.7,
                voxel=0.018,
            )
            joints[f"{end} {word}"] = leg
    last = torso
    for k in range(4):
        joint = empty(f"{name} tail {k}", last, (-0.38, 0, 0.1) if k == 0 else (-0.13, 0, 0))
        p.part(
            f"tail {k}",
            [((-0.06, 0, 0), (0.095, 0.042 - 0.004 * k, 0.042 - 0.004 * k))],
            trim if k == 3 else coat,
            joint,
            flow=(-1, 0, 0),
            voxel=0.014,
        )
        joints["tail" if k == 0 else f"tail {k}"] = joint
        last = joint
    return Toy(name, root, joints, 0.55)


def bear(name: str, coat, trim, scarf=None, length: float = 0.035, density: float = 15000, seed: int = 0) -> Toy:
    """A sitting teddy bear about 1.1 units high; arms, legs and head are joints."""
    p = Plush(name, length, density, seed=seed, curl=0.4)
    root = empty(name)
    torso = empty(f"{name} torso", root, (0, 0, 0.3))
    belly = marked(lambda q: (q[:, 0] > 0.17) & (np.abs(q[:, 1]) < 0.16) & (q[:, 2] < 0.14), trim, coat)
    p.part(
        "trunk", [((0, 0, -0.03), (0.28, 0.3, 0.28)), ((-0.02, 0, 0.2), (0.21, 0.23, 0.23))], belly, torso, flow=(0, 0, -0.6)
    )
    head = empty(f"{name} head", torso, (0.0, 0, 0.4))
    face = marked(lambda q: (q[:, 0] > 0.19) & (q[:, 2] < 0.16), trim, coat)
    p.part(
        "head",
        [
            ((0, 0, 0.14), (0.25, 0.27, 0.24)),
            ((0.2, 0, 0.07), (0.12, 0.12, 0.095)),
            ((0.08, 0.13, 0.06), (0.13, 0.11, 0.12)),
            ((0.08, -0.13, 0.06), (0.13, 0.11, 0.12)),
        ],
        face,
        head,
        flow=(-0.7, 0, 0.1),
        length=0.8,
        bare=lambda q: (np.abs(np.abs(q[:, 1]) - 0.1) < 0.035) & (abs(q[:, 2] - 0.19) < 0.035) & (q[:, 0] > 0.12),
    )
    p.eyes(head, (0.232, 0.1, 0.19), 0.034)
    ball(f"{name} nose", p.dark, (0.035, 0.055, 0.036), head, (0.315, 0, 0.105), detail=3)
    joints = {"torso": torso, "head": head}
    for side, word in ((1, "left"), (-1, "right")):
        p.part(f"ear {word}", [((0, 0, 0), (0.055, 0.1, 0.1))], coat, head, (-0.02, 0.19 * side, 0.33), flow=(-0.3, 0, 0.3))
        ball(
            f"{name} inner ear",
            m.cloth(f"{name} inner", "plain", CREAM, (0.6, 0.45, 0.3)),
            (0.03, 0.065, 0.065),
            head,
            (0.035, 0.19 * side, 0.33),
            detail=3,
        )
        arm = empty(f"{name} arm {word}", torso, (0.02, 0.22 * side, 0.27))
        paw = marked(lambda q: q[:, 2] < -0.33, trim, coat)
        p.part(
            f"arm {word}",
            [((0, 0.02 * side, -0.1), (0.1, 0.095, 0.17)), ((0.02, 0.03 * side, -0.28), (0.09, 0.085, 0.13))],
            paw,
            arm,
            flow=(-0.2, 0, -1),
        )
        leg = empty(f"{name} leg {word}", torso, (0.1, 0.17 * side, -0.17))
        p.part(
            f"leg {word}",
            [((0.1, 0.03 * side, 0), (0.22, 0.12, 0.12)), ((0.3, 0.05 * side, 0.03), (0.09, 0.12, 0.15))],
            coat,
            leg,
            flow=(-0.6, 0, -0.3),
        )
        ball(
            f"{name} sole",
            m.cloth(f"{name} sole", "plain", CREAM, (0.6, 0.45, 0.3)),
            (0.03, 0.085, 0.11),
            leg,
            (0.375, 0.05 * side, 0.03),
            detail=3,
        )
        joints[f"arm {word}"], joints[f"leg {word}"] = arm, leg
    if scarf:
        torus(f"{name} scarf", scarf, 0.175, 0.055, torso, (0.01, 0, 0.37), (0, 0.1, 0))
        box(f"{name} scarf end", scarf, (0.035, 0.11, 0.3), torso, (0.235, 0.1, 0.2), (0.1, -0.12, 0), 0.015)
    return Toy(name, root, joints, 0.45)


def duck(name: str, body=(0.85, 0.5, 0.02), beak=(0.85, 0.17, 0.02), gloss: float = 0.22) -> Toy:
    """A rubber duck, one unit long, floating or standing with its belly at z = 0."""
    skin, bill = m.plastic(f"{name} rubber", body, gloss, 0.1), m.plastic(f"{name} bill", beak, 0.3, 0.2)
    root = empty(name)
    rock = empty(f"{name} rock", root)
    fuse(
        name,
        skin,
        [
            ((0, 0, 0.24), (0.42, 0.31, 0.24)),
            ((0.14, 0, 0.26), (0.3, 0.29, 0.25)),
            ((-0.36, 0, 0.38), (0.16, 0.13, 0.08), (0, 0.6, 0)),
            ((-0.45, 0, 0.46), (0.07, 0.07, 0.05), (0, 0.7, 0)),
            ((0.22, 0, 0.48), (0.15, 0.15, 0.15)),
        ],
        plain,
        rock,
        voxel=0.02,
        rounds=14,
    )
    head = empty(f"{name} head", rock, (0.25, 0, 0.66))
    fuse(
        f"{name} skull",
        skin,
        [((0, 0, 0), (0.2, 0.19, 0.19)), ((0.06, 0.07, -0.03), (0.12, 0.1, 0.1)), ((0.06, -0.07, -0.03), (0.12, 0.1, 0.1))],
        plain,
        head,
        voxel=0.02,
    )
    fuse(
        f"{name} bill",
        bill,
        [((0.2, 0, -0.025), (0.13, 0.11, 0.028), (0, -0.12, 0)), ((0.18, 0, -0.065), (0.1, 0.085, 0.025), (0, 0.2, 0))],
        plain,
        head,
        voxel=0.012,
    )
    white, dark = m.plastic(f"{name} white", (0.8, 0.8, 0.78), 0.2), m.plastic(f"{name} dark", BLACK, 0.1, 0.0)
    for side in (-1, 1):
        ball(f"{name} eye", white, (0.035, 0.045, 0.05), head, (0.145, 0.1 * side, 0.065), (0, 0, 0.7 * side), detail=3)
        ball(f"{name} pupil", dark, (0.02, 0.028, 0.032), head, (0.172, 0.112 * side, 0.067), (0, 0, 0.7 * side), detail=3)
        fuse(
            f"{name} wing",
            skin,
            [((0, 0, 0), (0.2, 0.05, 0.12)), ((-0.17, 0.01 * side, 0.06), (0.12, 0.04, 0.07), (0, 0.5, 0))],
            plain,
            rock,
            (-0.06, 0.295 * side, 0.29),
            0.018,
        )
    return Toy(name, root, {"rock": rock, "head": head}, 0.5)


def wheel(name: str, parent, at, radius: float, wide: float, tyre, rim, hub=None, spokes: int = 5):
    """A wheel that turns about y: the joint is returned."""
    axle = empty(name, parent, at)
    turn = (math.pi / 2, 0, 0)
    r, w = radius, wide / 2
    lathe(
        f"{name} tyre",
        tyre,
        [
            (0.62 * r, -0.8 * w),
            (0.86 * r, -w),
            (0.97 * r, -0.7 * w),
            (r, 0),
            (0.97 * r, 0.7 * w),
            (0.86 * r, w),
            (0.62 * r, 0.8 * w),
        ],
        axle,
        (0, 0, 0),
        turn,
    )
    lathe(
        f"{name} rim",
        rim,
        [(0, -0.7 * w), (0.3 * r, -0.75 * w), (0.45 * r, -0.35 * w), (0.66 * r, -0.8 * w)],
        axle,
        (0, 0, 0),
        turn,
    )
    lathe(
        f"{name} rim 2",
        rim,
        [(0.66 * r, 0.8 * w), (0.45 * r, 0.35 * w), (0.3 * r, 0.75 * w), (0, 0.7 * w)],
        axle,
        (0, 0, 0),
        turn,
    )
    for k in range(spokes):
        a = 2 * math.pi * k / spokes
        for side in (-1, 1):
            ball(
                f"{name} bolt",
                hub or tyre,
                (0.085 * r, 0.15 * w, 0.085 * r),
                axle,
                (0.45 * r * math.cos(a), side * 0.5 * w, 0.45 * r * math.sin(a)),
                detail=2,
            )
    return axle


def car(name: str, body, roof, mark: str = "7", stripe=None, luggage: bool = True) -> Toy:
    """A toy car, one unit long: bumpers, lamps, windows, a number on the door, suitcases on the roof."""
    root = empty(name)
    shell = empty(f"{name} shell", root)
    chrome = m.metal(f"{name} chrome", (0.7, 0.7, 0.7), 0.15)
    glass = m.plastic(f"{name} glass", (0.02, 0.03, 0.035), 0.05, 0)
    tyre = m.plastic(f"{name} tyre", (0.02, 0.02, 0.02), 0.7, 0)
    rim = m.plastic(f"{name} rim", (0.7, 0.66, 0.55), 0.3, 0)
    box(f"{name} body", body, (0.98, 0.42, 0.17), shell, (0, 0, 0.2), bevel=0.07)
    box(f"{name} bonnet", body, (0.36, 0.36, 0.12), shell, (0.28, 0, 0.285), (0, 0.08, 0), 0.05)
    box(f"{name} cabin", body, (0.5, 0.37, 0.12), shell, (-0.14, 0, 0.33), bevel=0.05)
    box(f"{name} windows", glass, (0.46, 0.35, 0.14), shell, (-0.14, 0, 0.42), bevel=0.04)
    box(f"{name} roof", roof, (0.42, 0.37, 0.06), shell, (-0.15, 0, 0.5), bevel=0.03)
    for x in (0.065, -0.15, -0.345):
        for side in (-1, 1):
            tube(
                f"{name} post", roof, [(x + (0.035 if x > 0 else 0), side * 0.177, 0.37), (x, side * 0.17, 0.49)], 0.016, shell
            )
    if stripe:
        for side in (-0.055, 0.055):
            box(f"{name} stripe", stripe, (0.37, 0.05, 0.01), shell, (0.285, side, 0.346), (0, 0.08, 0), 0.003)
            box(f"{name} stripe", stripe, (0.4, 0.05, 0.01), shell, (-0.15, side, 0.531), (0, 0, 0), 0.003)
    for x in (-0.5, 0.5):
        box(f"{name} bumper", chrome, (0.04, 0.44, 0.05), shell, (x, 0, 0.15), bevel=0.018)
    lamp = m.plastic(f"{name} lamp", (0.85, 0.8, 0.6), 0.08, 0.3)
    red = m.plastic(f"{name} red", (0.6, 0.02, 0.01), 0.1, 0.3)
    for side in (-1, 1):
        ball(f"{name} lamp", lamp, (0.03, 0.05, 0.05), shell, (0.475, 0.13 * side, 0.245), detail=3)
        torus(f"{name} lamp ring", chrome, 0.052, 0.01, shell, (0.48, 0.13 * side, 0.245), (0, math.pi / 2, 0))
        ball(f"{name} back lamp", red, (0.02, 0.03, 0.04), shell, (-0.485, 0.15 * side, 0.235), detail=3)
        disc = lathe(
            f"{name} disc",
            m.paint(f"{name} white", (0.8, 0.78, 0.7), chips=0.05),
            [(0, 0.006), (0.085, 0.006), (0.088, 0)],
            shell,
            (-0.1, side * 0.211, 0.225),
            (math.pi / 2 * -side, 0, 0),
        )
        disc.name = f"{name} disc"
        letters(
            mark,
            m.paint(f"{name} ink", (0.02, 0.02, 0.025), chips=0.02),
            0.13,
            shell,
            (-0.1, side * 0.219, 0.225),
            (math.pi / 2, 0, 0 if side < 0 else math.pi),
            0.003,
        )
    grille = m.plastic(f"{name} grille", (0.03, 0.03, 0.03), 0.4, 0)
    for k in range(5):
        box(f"{name} grille", chrome if k % 2 else grille, (0.02, 0.13, 0.018), shell, (0.49, 0, 0.2 + 0.02 * k), bevel=0.004)
    if luggage:
        leather = m.cloth(f"{name} leather", "plain", (0.2, 0.09, 0.035), (0.13, 0.055, 0.02), 5, 200)
        for k in range(4):
            tube(f"{name} rack", chrome, [(-0.32 + 0.11 * k, -0.17, 0.55), (-0.32 + 0.11 * k, 0.17, 0.55)], 0.008, shell)
        box(f"{name} case", leather, (0.26, 0.2, 0.09), shell, (-0.2, -0.04, 0.605), (0, 0, 0.12), 0.02)
        box(
            f"{name} bag",
            m.cloth(f"{name} bag", "plaid", (0.03, 0.1, 0.2), (0.6, 0.5, 0.2), 14),
            (0.13, 0.17, 0.07),
            shell,
            (-0.2, 0.0, 0.685),
            (0, 0, -0.2),
            0.025,
        )
    wheels = [
        wheel(f"{name} wheel", root, (x, 0.2 * side, 0.115), 0.115, 0.09, tyre, rim, chrome)
        for x in (0.3, -0.3)
        for side in (-1, 1)
    ]
    return Toy(name, root, {"shell": shell, **{f"wheel {k}": w for k, w in enumerate(wheels)}}, 0.5)


def engine(name: str, body, trim, mark: str = "VOS") -> Toy:
    """A wooden steam engine, one unit long."""
    root = empty(name)
    shell = empty(f"{name} shell", root)
    black = m.paint(f"{name} black", (0.025, 0.025, 0.028), gloss=0.5, chips=0.08)
    brass = m.metal(f"{name} brass", (0.75, 0.5, 0.16), 0.2)
    box(f"{name} frame", black, (0.98, 0.36, 0.08), shell, (0, 0, 0.19), bevel=0.02)
    turn = (0, math.pi / 2, 0)
    lathe(
        f"{name} boiler",
        body,
        [(0, -0.34), (0.145, -0.34), (0.15, -0.33), (0.15, 0.3), (0.14, 0.32), (0, 0.33)],
        shell,
        (0.12, 0, 0.38),
        turn,
    )
    for x in (-0.05, 0.12, 0.28, 0.43):
        torus(f"{name} band", brass, 0.151, 0.009, shell, (x, 0, 0.38), turn)
    lathe(f"{name} front", black, [(0.13, 0), (0.13, 0.035), (0.1, 0.05), (0, 0.06)], shell, (0.44, 0, 0.38), turn)
    lathe(
        f"{name} chimney",
        black,
        [(0.05, 0), (0.045, 0.16), (0.075, 0.21), (0.08, 0.25), (0.055, 0.25), (0.05, 0.2)],
        shell,
        (0.34, 0, 0.51),
    )
    lathe(f"{name} dome", brass, [(0.065, 0), (0.065, 0.05), (0.05, 0.09), (0.025, 0.11), (0, 0.115)], shell, (0.1, 0, 0.51))
    box(f"{name} cab", body, (0.32, 0.36, 0.22), shell, (-0.32, 0, 0.33), bevel=0.02)
    for x in (-0.46, -0.18):
        for side in (-1, 1):
            box(f"{name} post", body, (0.045, 0.045, 0.2), shell, (x, 0.155 * side, 0.53), bevel=0.01)
    box(f"{name} roof", trim, (0.42, 0.44, 0.045), shell, (-0.32, 0, 0.645), bevel=0.02)
    for side in (-1, 1):
        letters(
            mark,
            m.paint(f"{name} gold", (0.75, 0.55, 0.12), chips=0.04),
            0.1,
            shell,
            (-0.32, 0.184 * side, 0.34),
            (math.pi / 2, 0, 0 if side < 0 else math.pi),
            0.004,
        )
        lathe(
            f"{name} buffer",
            trim,
            [(0.02, 0), (0.02, 0.05), (0.05, 0.055), (0.05, 0.07), (0, 0.075)],
            shell,
            (0.48, 0.11 * side, 0.2),
            turn,
        )
        box(f"{name} line", trim, (0.96, 0.012, 0.03), shell, (0, 0.182 * side, 0.195), bevel=0.004)
    tyre = m.paint(f"{name} wheels", (0.5, 0.03, 0.02), chips=0.08)
    wheels = []
    for x, r in ((-0.3, 0.15), (0.05, 0.15), (0.33, 0.1)):
        for side in (-1, 1):
            wheels.append(wheel(f"{name} wheel", root, (x, 0.2 * side, r), r, 0.05, black, tyre, brass, 6))
    return Toy(name, root, {"shell": shell, **{f"wheel {k}": w for k, w in enumerate(wheels)}}, 0.5)


def wagon(name: str, body, trim, cargo: Callable | None = None) -> Toy:
    """An open wooden wagon, 0.8 long; `cargo(parent)` loads it."""
    root = empty(name)
    black = m.paint(f"{name} black", (0.03, 0.03, 0.03), chips=0.08)
    box(f"{name} floor", black, (0.78, 0.34, 0.06), root, (0, 0, 0.18), bevel=0.015)
    for side in (-1, 1):
        for z in (0.25, 0.33):
            box(f"{name} board", body, (0.76, 0.03, 0.072), root, (0, 0.165 * side, z), bevel=0.012)
            box(f"{name} end", body, (0.03, 0.32, 0.072), root, (0.37 * side, 0, z), bevel=0.012)
        for x in (-0.25, 0, 0.25):
            box(f"{name} post", trim, (0.04, 0.02, 0.17), root, (x, 0.186 * side, 0.29), bevel=0.006)
        tube(f"{name} hook", black, [(0.38 * side, 0, 0.17), (0.46 * side, 0, 0.17)], 0.018, root)
    if cargo:
        cargo(root)
    tyre = m.paint(f"{name} wheels", (0.5, 0.03, 0.02), chips=0.08)
    wheels = [
        wheel(f"{name} wheel", root, (x, 0.18 * side, 0.1), 0.1, 0.05, black, tyre, None, 6)
        for x in (-0.24, 0.24)
        for side in (-1, 1)
    ]
    return Toy(name, root, {f"wheel {k}": w for k, w in enumerate(wheels)}, 0.4)


def bicycle(name: str, paint, leather=None) -> Toy:
    """A bicycle about 1.7 units long and 1.05 high: tubes, spokes, chain wheel, a wire basket."""
    root = empty(name)
    lean = empty(f"{name} lean", root)
    steel = m.metal(f"{name} steel", (0.75, 0.75, 0.76), 0.2)
    black = m.plastic(f"{name} black", (0.02, 0.02, 0.02), 0.5, 0)
    leather = leather or m.cloth(f"{name} leather", "plain", (0.2, 0.085, 0.03), (0.13, 0.055, 0.02), 5, 200)
    r, up = 0.34, 0.34
    head, foot, crank, seat, back = (0.36, 0, 0.83), (0.41, 0, 0.66), (-0.08, 0, 0.32), (-0.2, 0, 0.74), (-0.52, 0, up)
    for points, thick in (((head, foot), 0.024), ((head, seat), 0.019), ((foot, crank), 0.023), ((crank, seat), 0.02)):
        tube(f"{name} tube", paint, points, thick, lean)
    for side in (-1, 1):
        y = 0.045 * side
        tube(f"{name} stay", paint, [seat, (back[0], y, up)], 0.011, lean)
        tube(f"{name} stay", paint, [(crank[0], y * 0.6, crank[2]), (back[0], y, up)], 0.012, lean)
    tube(f"{name} post", steel, [seat, (-0.235, 0, 0.88)], 0.014, lean)
    fuse(
        f"{name} saddle",
        leather,
        [((-0.06, 0, 0), (0.1, 0.085, 0.03)), ((0.08, 0, 0.0), (0.12, 0.035, 0.025))],
        plain,
        lean,
        (-0.24, 0, 0.9),
        0.012,
    )
    wheels = []
    steer = empty(f"{name} steer", lean, (0.385, 0, 0.745), (0, -0.28, 0))
    for word, parent, at in (("back", lean, back), ("front", steer, (0.095, 0, -0.449))):
        axle = empty(f"{name} {word} wheel", parent, at)
        turn = (math.pi / 2, 0, 0)
        torus(f"{name} tyre", black, r - 0.014, 0.017, axle, (0, 0, 0), turn)
        torus(f"{name} rim", steel, r - 0.036, 0.009, axle, (0, 0, 0), turn)
        lathe(
            f"{name} hub",
            steel,
            [
                (0.0, -0.045),
                (0.022, -0.045),
                (0.022, -0.035),
                (0.012, -0.03),
                (0.012, 0.03),
                (0.022, 0.035),
                (0.022, 0.045),
                (0, 0.045),
            ],
            axle,
            (0, 0, 0),
            turn,
        )
        for k in range(18):
            a, b = 2 * math.pi * k / 18, 2 * math.pi * k / 18 + (0.5 if k % 2 else -0.5)
            tube(
                f"{name} spoke",
                steel,
                [
                    (0.02 * math.cos(b), 0.03 * (-1) ** (k // 2), 0.02 * math.sin(b)),
                    ((r - 0.036) * math.cos(a), 0, (r - 0.036) * math.sin(a)),
                ],
                0.0026,
                axle,
            )
        ball(
            f"{name} reflector",
            m.plastic(f"{name} amber", (0.8, 0.25, 0.01), 0.1),
            (0.035, 0.008, 0.015),
            axle,
            (0.2, 0, 0.06),
            (0, -0.3, 0),
            detail=3,
        )
        arch = [(at[0] + (r + 0.025) * math.cos(a), 0, at[2] + (r + 0.025) * math.sin(a)) for a in np.linspace(0.55, 2.75, 9)]
        tube(f"{name} mudguard", paint, arch, 0.013, parent, bend=True)
        wheels.append(axle)
    for side in (-1, 1):
        y = 0.05 * side
        tube(f"{name} fork", paint, [(0, y, -0.07), (0.0, y, -0.22), (0.03, y, -0.33), (0.095, y, -0.449)], 0.012, steer)
    tube(f"{name} crown", paint, [(0, -0.05, -0.075), (0, 0.05, -0.075)], 0.02, steer)
    tube(f"{name} stem", steel, [(0, 0, 0.06), (0.0, 0, 0.19)], 0.015, steer)
    tube(
        f"{name} bar",
        steel,
        [
            (-0.17, -0.27, 0.2),
            (-0.05, -0.24, 0.23),
            (0.03, -0.1, 0.2),
            (0.03, 0.1, 0.2),
            (-0.05, 0.24, 0.23),
            (-0.17, 0.27, 0.2),
        ],
        0.012,
        steer,
        bend=True,
    )
    for side in (-1, 1):
        tube(f"{name} grip", leather, [(-0.2, 0.275 * side, 0.195), (-0.09, 0.255 * side, 0.222)], 0.019, steer)
    for z in (0.02, 0.1, 0.18):
        ring = [
            (0.19 + 0.09 * math.cos(a) * (1 + z), (0.14 + 0.04 * z) * math.sin(a), z) for a in np.linspace(0, 2 * math.pi, 17)
        ]
        tube(f"{name} basket", steel, ring, 0.0045, steer)
    for a in np.linspace(0, 2 * math.pi, 22, endpoint=False):
        tube(
            f"{name} basket wire",
            steel,
            [(0.19 + 0.09 * math.cos(a) * (1 + z), (0.14 + 0.04 * z) * math.sin(a), z) for z in (0.02, 0.18)],
            0.0028,
            steer,
        )
    gear = empty(f"{name} crank", lean, crank)
    torus(f"{name} chain wheel", steel, 0.09, 0.008, gear, (0, -0.05, 0), (math.pi / 2, 0, 0))
    for k in range(5):
        a = 2 * math.pi * k / 5
        tube(f"{name} arm", steel, [(0, -0.05, 0), (0.09 * math.cos(a), -0.05, 0.09 * math.sin(a))], 0.006, gear)
    for side in (-1, 1):
        tube(f"{name} crank arm", steel, [(0, 0.065 * side, 0), (0.16 * side, 0.08 * side, 0)], 0.01, gear)
        box(f"{name} pedal", black, (0.09, 0.08, 0.022), gear, (0.16 * side, 0.13 * side, 0), bevel=0.006)
    for z in (0.09, -0.09):
        tube(f"{name} chain", black, [(crank[0], -0.05, crank[2] + z), (back[0], -0.05, up + z * 0.4)], 0.006, lean)
    return Toy(name, root, {"lean": lean, "steer": steer, "back": wheels[0], "front": wheels[1], "crank": gear}, 0.85)


def roll(toy: Toy, frames: int, path: Callable, ground: Callable, radii: dict[str, float], bumps: float = 0.006) -> None:
    """Keyframes a vehicle along path: frame -> (x, y, heading); wheels (joint -> radius) turn with the way."""
    way, last = 0.0, None
    for frame in range(-1, frames + 2):
        x, y, heading = path(frame)
        if last is not None:
            way += (x - last[0]) * math.cos(heading) + (y - last[1]) * math.sin(heading)
        last = (x, y)
        key(toy.root, frame, (x, y, ground(x, y)), (0, 0, heading))
        if "shell" in toy.joints:
            key(
                toy.joints["shell"],
                frame,
                (0, 0, bumps * math.sin(17 * way)),
                (bumps * math.sin(11 * way), 0.6 * bumps * math.sin(23 * way), 0),
            )
        for joint, radius in radii.items():
            key(toy.joints[joint], frame, turn=(0, way / radius, 0))


def beach_ball(
    name: str,
    radius: float,
    tones=((0.7, 0.03, 0.02), (0.8, 0.78, 0.72), (0.03, 0.15, 0.5), (0.8, 0.78, 0.72), (0.75, 0.5, 0.02), (0.8, 0.78, 0.72)),
    text: str = "VOS",
) -> Toy:
    """A ball of coloured gores with lettering; its root is its centre."""
    s = m.Surface(name)
    split = s.add("SeparateXYZ", Vector=s.add("TexCoord").outputs["Object"])
    angle = s.math("ARCTAN2", split.outputs["Y"], split.outputs["X"])
    share = s.math("FRACT", s.math("ADD", s.math("DIVIDE", angle, 2 * math.pi), 1.0))
    colour = m.worn(s.ramp(share, [(k / len(tones), tone) for k, tone in enumerate(tones)]), s, 0.25, 6)
    colour.node.inputs["Color1"].links[0].from_node.color_ramp.interpolation = "CONSTANT"
    skin = s.finish(
        s.add(
            "BsdfPrincipled",
            Base_Color=colour,
            Roughness=0.28,
            Subsurface_Weight=0.1,
            Subsurface_Radius=(0.05, 0.03, 0.02),
            Normal=s.bump(s.noise(7, 4), 0.05),
        ).outputs[0]
    )
    root = empty(name)
    ball(name, skin, (radius,) * 3, root, detail=5)
    cap = m.plastic(f"{name} cap", (0.8, 0.78, 0.74), 0.3)
    for side in (-1, 1):
        ball(f"{name} cap", cap, (0.22 * radius, 0.22 * radius, 0.03 * radius), root, (0, 0, side * 0.98 * radius), detail=3)
    ink = m.paint(f"{name} ink", (0.03, 0.03, 0.05), chips=0.03)
    for k in range(6):
        a = math.pi / 3 * k + math.pi / 6
        place = empty(f"{name} text", root, (0, 0, 0), (0, 0, a + math.pi / 2))
        for n, letter in enumerate(text):
            b = (n - (len(text) - 1) / 2) * 0.26
            tilt = empty(f"{name} letter", place, (0, 0, 0), (0, 0, b))
            letters(letter, ink, 0.24 * radius, tilt, (0, -radius * 0.998, 0), deep=0.004 * radius)
    return Toy(name, root, {}, radius)


# --- things that stand about


def book(name: str, size, cover, title: str = "", parent=None, at=(0, 0, 0), turn=(0, 0, 0)):
    """A bound book lying flat: size is (height of the page, depth, thickness); the spine with its title faces -y."""
    x, y, z = size
    root = empty(name, parent, at, turn)
    paper = m.wood(f"{name} paper", (0.72, 0.66, 0.52), (0.55, 0.49, 0.37), 6, 0.1, 0, 0.3)
    box(f"{name} pages", paper, (x - 0.03, y - 0.02, z - 0.02), root, (0, 0.004, 0), bevel=0.004)
    for side in (-1, 1):
        box(f"{name} board", cover, (x, y, 0.012), root, (0, 0, side * (z / 2 - 0.006)), bevel=0.004)
    box(f"{name} spine", cover, (x, 0.018, z), root, (0, -y / 2, 0), bevel=0.007)
    if title:
        letters(title, m.paint(f"{name} gold", (0.75, 0.58, 0.2), chips=0.03), 0.5 * z, root, (0, -y / 2 - 0.01, 0), deep=0.002)
    return root


def block(name: str, text: str, colour, parent=None, at=(0, 0, 0), turn=(0, 0, 0), size: float = 0.2):
    """A wooden letter block."""
    root = empty(name, parent, at, turn)
    pine = m.wood(f"{name} pine", (0.62, 0.42, 0.22), (0.42, 0.25, 0.11), 2.5, 0.4)
    ink = m.paint(f"{name} ink", colour, chips=0.1)
    box(name, pine, (size, size, size), root, bevel=0.018)
    h = size / 2
    for k in range(4):
        a = k * math.pi / 2
        side = empty(f"{name} side", root, (0, 0, 0), (0, 0, a))
        letters(text, ink, 0.62 * size, side, (0, -h - 0.001, 0), deep=0.003)
    letters(text, ink, 0.62 * size, root, (0, 0, h + 0.001), (0, 0, 0), 0.003)
    return root


def mug(name: str, material, parent=None, at=(0, 0, 0), size: float = 0.3):
    """A mug of height `size` with a handle."""
    s = size
    root = empty(name, parent, at)
    lathe(
        name,
        material,
        [
            (0, 0),
            (0.36 * s, 0),
            (0.4 * s, 0.04 * s),
            (0.4 * s, 0.97 * s),
            (0.38 * s, s),
            (0.36 * s, 0.97 * s),
            (0.36 * s, 0.1 * s),
            (0, 0.08 * s),
        ],
        root,
    )
    torus(f"{name} handle", material, 0.24 * s, 0.045 * s, root, (0.44 * s, 0, 0.52 * s), (math.pi / 2, 0, 0))
    return root


def crayon(name: str, colour, parent=None, at=(0, 0, 0), turn=(0, 0, 0), length: float = 0.4):
    """A pencil lying along x."""
    root = empty(name, parent, at, turn)
    t = length * 0.03
    lathe(
        name,
        m.paint(name, colour, chips=0.05),
        [(0, -length / 2), (t, -length / 2), (t, length * 0.4)],
        root,
        (0, 0, t),
        (0, math.pi / 2, 0),
        6,
    )
    lathe(
        f"{name} tip",
        m.wood(f"{name} wood", (0.7, 0.5, 0.3), (0.5, 0.33, 0.17), 4),
        [(t, 0), (0.3 * t, length * 0.08)],
        root,
        (length * 0.4, 0, t),
        (0, math.pi / 2, 0),
        12,
    )
    lathe(
        f"{name} lead",
        m.paint(f"{name} lead", colour, chips=0),
        [(0.3 * t, 0), (0, length * 0.03)],
        root,
        (length * 0.48, 0, t),
        (0, math.pi / 2, 0),
        12,
    )
    return root


def pot(name: str, rng, parent=None, at=(0, 0, 0), size: float = 0.5, bloom: bool = True):
    """A clay pot with a leafy plant."""
    from .places import leaves

    s = size
    clay = m.soil(f"{name} clay", [(0.3, 0.11, 0.05), (0.42, 0.17, 0.08), (0.5, 0.26, 0.16)], 2.5, 0.2)
    lathe(
        name,
        clay,
        [
            (0, 0),
            (0.3 * s, 0),
            (0.42 * s, 0.66 * s),
            (0.47 * s, 0.66 * s),
            (0.48 * s, 0.8 * s),
            (0.43 * s, 0.8 * s),
            (0.42 * s, 0.7 * s),
            (0, 0.7 * s),
        ],
        parent,
        at,
    )
    centres = np.array([(at[0], at[1], at[2] + 1.15 * s), (at[0] + 0.15 * s, at[1], at[2] + 1.45 * s)])
    leaves(centres, np.array([(0.55 * s, 0.5 * s, 0.45 * s)] * 2), rng, 420, 0.1 * s, f"{name} plant")
    if bloom:
        tones = [
            ((0.7, 0.05, 0.12), (0.5, 0.02, 0.06)),
            ((0.8, 0.5, 0.05), (0.6, 0.3, 0.02)),
            ((0.7, 0.3, 0.6), (0.45, 0.12, 0.4)),
        ]
        light, dark = tones[rng.integers(3)]
        leaves(centres, np.array([(0.6 * s, 0.55 * s, 0.5 * s)] * 2), rng, 50, 0.07 * s, f"{name} blossom", light, dark)
