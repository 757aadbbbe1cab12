"""The bundled scenes: what stands where, how it moves, what a learner should watch for."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import materials as m
from . import places, toys
from .shapes import box, key
from .toys import CREAM, GREY, RUST, SNOW, TAN


@dataclass(frozen=True)
class Scene:
    """One scene: `build(frames)` fills an empty Blender scene; objects maps ids to names."""

    build: Callable
    title: str
    watch: str
    objects: dict[int, str]
    frames: int = 40
    shutter: float = 0.4  # share of a frame's time in which light is gathered
    exposure: float = 0.0
    soft: bool = True  # fur and grass: a pixel's label is the commonest among its 3 x 3 rays; False: its own ray's
    fps: int = 24


def ease(t: float, start: float, end: float) -> float:
    """0 before start, 1 after end, smooth between."""
    s = min(1.0, max(0.0, (t - start) / (end - start)))
    return s * s * (3 - 2 * s)


def lawn(seed: int, sparse: float = -0.9, blades: int = 60000):
    """A meadow with flowers and pebbles before a fence and a hedge."""
    rng = np.random.default_rng(seed)
    ground = places.Ground(
        m.soil("earth", [(0.035, 0.027, 0.016), (0.085, 0.062, 0.035), (0.15, 0.115, 0.065)], 1.2), seed=seed
    )
    places.grass(ground, rng, blades, patchy=sparse)
    places.flowers(ground, rng, 170)
    places.pebbles(ground, rng, 120)
    places.fence(ground, rng)
    places.hedge(ground, rng)
    return ground


def lookalikes(frames: int) -> None:
    """Three dogs of one breed; one passes before the target, one behind."""
    ground = lawn(3)
    coat = toys.coat_of(TAN, SNOW, 0.3, 4)
    trim = toys.coat_of(CREAM, SNOW, 0.4, 2)
    target = toys.dog(
        "dog",
        coat,
        trim,
        collar=m.cloth("red", "plain", (0.6, 0.03, 0.02), (0.45, 0.02, 0.02)),
        sweater=m.cloth("sweater", "stripes", (0.55, 0.03, 0.03), (0.78, 0.72, 0.6), 4.2),
        seed=10,
    ).label(1)
    near = toys.dog(
        "near",
        toys.coat_of(TAN, SNOW, 0.36, 9),
        trim,
        collar=m.cloth("blue", "plain", (0.02, 0.1, 0.45), (0.02, 0.06, 0.3)),
        sweater=m.cloth("sweater 2", "checks", (0.03, 0.12, 0.42), (0.75, 0.72, 0.62), 11),
        seed=30,
    )
    far = toys.dog(
        "far",
        toys.coat_of(RUST, SNOW, 0.28, 15),
        toys.coat_of(SNOW, CREAM, 0.4, 3),
        collar=m.cloth("green", "plain", (0.03, 0.25, 0.05), (0.02, 0.2, 0.04)),
        seed=50,
    )
    toys.walk(
        target,
        frames,
        lambda f: (-0.75 + 0.032 * f, 0.25 + 0.25 * math.sin(0.07 * f), 0.35 - 1.9 * ease(f, 6, 46)),
        ground.height,
    )
    toys.walk(near, frames, lambda f: (2.55 - 0.085 * f, -0.75 - 0.003 * f, math.pi + 0.1), ground.height, phase=1.0)
    toys.walk(far, frames, lambda f: (-1.7 + 0.06 * f, 1.65 + 0.01 * f, 0.15), ground.height, phase=2.2)
    places.sky(36, 222, 0.085, size=1.0)
    places.camera(
        frames,
        lambda f: (-0.1 + 0.006 * f, -4.0, 1.45),
        lambda f: (-0.3 + 0.014 * f, 0.2, 0.52),
        42,
        3.2,
        focus=lambda f: (-0.75 + 0.032 * f, 0.1, 0.6),
    )


# --- indoors


def table(seed: int, lit: float = 1.0):
    """A plank table before a bookshelf, lit by a window on the left. Returns its generator and its height (0)."""
    rng = np.random.default_rng(seed)
    places.boards(
        "plank", m.wood("table", (0.5, 0.3, 0.15), (0.26, 0.13, 0.055), 1.0, 0.55), (-4, 4), (-2.2, 2.6), 0.0, 0.3, rng
    )
    places.wall(m.cloth("wallpaper", "stripes", (0.36, 0.4, 0.36), (0.42, 0.45, 0.39), 1.6, 60), 5.2, low=-2)
    places.shelf(rng, 4.6, (-4.2, 4.2), 3.4, 3, -1.0)
    places.room_light((1, 0.92, 0.82), 0.22 * lit)
    places.lamp((-4.2, -1.2, 3.4), (0, 0.6, 0.3), 420 * lit, 1.6, (1, 0.96, 0.9), "window")
    places.lamp((3.5, 2.2, 3.2), (0, 1.5, 0), 90 * lit, 1.0, (1, 0.75, 0.5), "bulb")
    return rng


def flat(x: float, y: float) -> float:
    """The height of a level ground."""
    return 0.0


def wheels(toy: toys.Toy, radii) -> dict[str, float]:
    """Wheel joints -> radii, in the order in which the toy was built."""
    return {f"wheel {k}": r for k, r in enumerate(radii)}


LINEN = {
    "red": ((0.42, 0.035, 0.03), (0.3, 0.02, 0.02)),
    "blue": ((0.03, 0.09, 0.28), (0.02, 0.06, 0.2)),
    "green": ((0.05, 0.2, 0.1), (0.03, 0.13, 0.06)),
    "sand": ((0.3, 0.12, 0.03), (0.22, 0.085, 0.02)),
    "plum": ((0.2, 0.05, 0.16), (0.14, 0.03, 0.11)),
}


def linen(name: str):
    return m.cloth(name, "plain", *LINEN[name.split()[0]], 5, 140)


def hidden(frames: int) -> None:
    """A wooden engine passes behind a stack of books, is gone for a while and returns on the other side."""
    rng = table(5)
    train = toys.engine("engine", m.paint("green", (0.03, 0.19, 0.08)), m.paint("red", (0.55, 0.03, 0.02)), "V 19").label(1)
    toys.roll(
        train,
        frames,
        lambda f: (-1.22 + 2.5 * f / (frames - 1), 0.75 + 0.06 * math.sin(0.1 * f), 0.06 * math.cos(0.1 * f)),
        flat,
        wheels(train, (0.15, 0.15, 0.15, 0.15, 0.1, 0.1)),
    )
    z = 0.0
    for k, (tone, title, thick) in enumerate(
        (
            ("blue", "OPTICS", 0.17),
            ("red", "FAIRY TALES", 0.2),
            ("sand", "A T L A S", 0.14),
            ("plum", "SONATAS", 0.16),
            ("green", "BIRDS", 0.15),
        )
    ):
        toys.book(
            f"book {k}",
            (1.3 - 0.03 * k, 0.72, thick),
            linen(f"{tone} {k}"),
            title,
            None,
            (0.05 + 0.05 * rng.normal(), 0.02, z + thick / 2),
            (0, 0, 0.08 * rng.normal()),
        )
        z += thick
    toys.mug(
        "mug", m.plastic("china", (0.75, 0.72, 0.66), 0.12, 0.1, (0.05, 0.12, 0.35), "rings", 9), None, (-1.2, -0.72, 0), 0.34
    )
    for k, (letter, tone) in enumerate(zip("VOS", ((0.5, 0.03, 0.02), (0.02, 0.1, 0.4), (0.03, 0.25, 0.06)), strict=True)):
        toys.block(
            f"block {k}",
            letter,
            tone,
            None,
            (0.85 + 0.26 * k, -0.85 + 0.05 * rng.normal(), 0.11),
            (0, 0, 0.4 * rng.normal()),
            0.22,
        )
    for k, tone in enumerate(((0.6, 0.1, 0.02), (0.02, 0.2, 0.5), (0.6, 0.4, 0.02), (0.1, 0.3, 0.05))):
        toys.crayon(
            f"crayon {k}", tone, None, (-0.7 + 0.2 * rng.normal(), -0.85 + 0.1 * rng.normal(), 0), (0, 0, rng.uniform(0, 3))
        )
    places.camera(
        frames,
        lambda f: (0.12 * math.sin(0.05 * f), -3.4, 1.15),
        lambda f: (0.06 * math.sin(0.05 * f), 0.5, 0.42),
        40,
        4.0,
        focus=lambda f: (0, 0.6, 0.3),
    )


def huddle(frames: int) -> None:
    """A bear, a dog, a duck and a ball crowd together, touch and cover each other."""
    room(8)
    friend = toys.bear(
        "bear",
        toys.coat_of((0.36, 0.19, 0.08), (0.44, 0.26, 0.12), 0.4, 3),
        toys.coat_of(CREAM, SNOW, 0.3, 5),
        m.cloth("scarf", "stripes", (0.03, 0.16, 0.3), (0.7, 0.62, 0.45), 9),
        seed=70,
    ).label(1)
    pup = toys.dog(
        "pup",
        toys.coat_of(GREY, SNOW, 0.42, 21),
        toys.coat_of(SNOW, CREAM, 0.4, 3),
        m.cloth("red", "plain", (0.6, 0.03, 0.02), (0.4, 0.02, 0.02)),
        ear=toys.coat_of((0.05, 0.045, 0.04), GREY, 0.1, 2),
        seed=90,
    ).label(2)
    quack = toys.duck("duck").label(3)
    sphere = toys.beach_ball("ball", 0.27).label(4)
    for f in range(-1, frames + 2):
        t = f / 24
        key(friend.root, f, (0.2, 0.42, 0), (0, 0, -1.45 + 0.25 * math.sin(1.6 * t)))
        key(friend.joints["torso"], f, turn=(0.1 * math.sin(2.7 * t), 0.1 * math.sin(2.1 * t), 0))
        key(friend.joints["head"], f, turn=(0.18 * math.sin(2.4 * t + 1), 0.12 * math.sin(3.0 * t), 0.5 * math.sin(1.9 * t)))
        for side, word in ((1, "left"), (-1, "right")):
            key(
                friend.joints[f"arm {word}"],
                f,
                turn=(side * (0.45 + 0.4 * math.sin(3.4 * t + side)), -0.9 - 0.6 * math.sin(3.1 * t + 2 * side), 0),
            )
        slide = ease(f, 4, 26)
        key(
            quack.root,
            f,
            (1.25 - 0.5 * slide, -0.35 - 0.05 * slide, 0),
            (0, 0, math.pi + 0.5 * math.sin(2 * t)),
            (0.55, 0.55, 0.55),
        )
        key(quack.joints["rock"], f, turn=(0.12 * math.sin(9 * t) * (1 - 0.6 * ease(f, 26, 38)), 0.08 * math.sin(7 * t), 0))
        x = -1.15 + 1.5 * ease(f, -6, 38)
        key(sphere.root, f, (x, -0.62 - 0.1 * math.sin(1.2 * t), 0.27), (0.5, (x + 1.9) / 0.27, 0.4))
    toys.walk(
        pup,
        frames,
        lambda f: (-1.2 + 0.5 * ease(f, 0, 24), 0.3 - 0.25 * ease(f, 0, 24), -0.2 + 0.2 * math.sin(0.1 * f)),
        flat,
        pace=0.7,
    )
    places.camera(frames, lambda f: (0.15 - 0.006 * f, -3.75, 1.3), lambda f: (-0.05, 0.0, 0.42), 40, 3.5)


def room(seed: int, rug: bool = True):
    """A play room: floor boards, a rug, a shelf, a basket of blocks; window light from the left."""
    rng = np.random.default_rng(seed)
    places.boards(
        "board", m.wood("floor", (0.42, 0.25, 0.12), (0.22, 0.115, 0.05), 1.0, 0.5), (-6, 6), (-2.6, 4.6), -0.03, 0.26, rng
    )
    if rug:
        carpet = m.cloth("rug", "plaid", (0.5, 0.42, 0.3), (0.32, 0.07, 0.06), 1.15, 130)
        box("rug", carpet, (3.9, 2.5, 0.03), None, (0, 0.25, -0.012), (0, 0, 0.05), 0.012)
    places.wall(m.soil("plaster", [(0.45, 0.43, 0.37), (0.5, 0.47, 0.41), (0.55, 0.52, 0.46)], 0.8, 0.1), 4.5)
    box("skirting", m.paint("skirting", (0.6, 0.58, 0.53), chips=0.03), (12, 0.04, 0.2), None, (0, 4.46, 0.08))
    places.shelf(rng, 4.0, (-0.6, 4.2), 2.3, 2)
    toys.pot("plant", rng, None, (-2.3, 3.4, 0), 0.95, False)
    for k in range(7):
        toys.block(
            f"block {k}",
            "ABCDEFG"[k],
            [(0.5, 0.03, 0.02), (0.02, 0.1, 0.4), (0.03, 0.25, 0.06), (0.55, 0.35, 0.02)][k % 4],
            None,
            (1.5 + 0.55 * rng.normal(), 2.0 + 0.3 * rng.normal(), 0.11 - 0.03),
            (0, 0, 3 * rng.random()),
            0.22,
        )
    places.room_light((0.92, 0.95, 1.0), 0.25)
    places.lamp((-4.6, -0.6, 3.2), (0.2, 0.4, 0.2), 620, 1.5, (1, 0.95, 0.86), "window")
    places.lamp((2.5, -3.0, 3.6), (0, 0.5, 0), 70, 2.0, (1, 0.85, 0.7), "ceiling")
    return rng


# --- outdoors


def terrace(seed: int, bricks: bool = True, back: float = 3.6):
    """Paving before a brick wall with pots and planks."""
    rng = np.random.default_rng(seed)
    ground = places.Ground(
        m.tiles("paving", (0.3, 0.26, 0.21), (0.2, 0.17, 0.14), (0.07, 0.06, 0.05), 1.0, 0.62, 0.42),
        rough=0.012,
        fine=0.004,
        seed=seed,
    )
    if bricks:
        facade = m.tiles("brick", (0.34, 0.13, 0.075), (0.2, 0.07, 0.045), (0.2, 0.18, 0.16), 1.0, 0.36, 0.12)
        box(
            "facade", facade, (18, 5, 0.1), None, (0, back + 0.05, 2.4), (math.pi / 2, 0, 0), 0.01
        )  # bricks lie in the xy plane
    for x, size in ((-2.7, 0.7), (-1.95, 0.5), (2.3, 0.8), (3.1, 0.55)):
        toys.pot(f"pot {x}", rng, None, (x + 0.1 * rng.normal(), back - 0.45 - 0.2 * rng.random(), 0), size)
    places.grass(ground, rng, 1600, 0.07, (-4, 4), (-1.5, back), 1.0)
    places.pebbles(ground, rng, 60, (-3.5, 3.5), (-1.6, back), (0.01, 0.03))
    return ground, rng


def late(frames: int) -> None:
    """A cat sits in the sun; a toy car drives in and stops before it."""
    ground, rng = terrace(12)
    tabby = toys.cat(
        "cat",
        toys.coat_of((0.42, 0.2, 0.06), (0.2, 0.075, 0.02), 0.5, 6, 5, "stripes"),
        toys.coat_of(SNOW, CREAM, 0.3, 3),
        m.cloth("collar", "plain", (0.03, 0.2, 0.4), (0.02, 0.12, 0.3)),
        seed=110,
    ).label(1)
    toys.walk(
        tabby,
        frames,
        lambda f: (-0.75, 0.35, -0.55 + 0.35 * ease(f, 12, 30)),
        ground.height,
        lively=0.7,
        sit=lambda f: 1 - ease(f, 18, 30),
    )
    for f in range(-1, frames + 2):
        for k in range(1, 4):
            key(tabby.joints[f"tail {k}"], f, turn=(0, -0.35, 0.5 * math.sin(0.16 * f - k)))
        key(tabby.joints["tail"], f, turn=(0, 0.5 * (1 - ease(f, 18, 30)) - 0.5, 0.6 * math.sin(0.16 * f)))
    motor = toys.car(
        "car",
        m.paint("blue", (0.03, 0.17, 0.33), chips=0.06),
        m.paint("cream", (0.72, 0.64, 0.48)),
        "12",
        m.paint("white", (0.75, 0.73, 0.68)),
    ).label(2)
    toys.roll(
        motor,
        frames,
        lambda f: (3.0 - 2.25 * ease(f, -2, 36), -0.25 + 0.12 * math.sin(0.05 * f), math.pi + 0.25 * ease(f, 8, 40)),
        ground.height,
        wheels(motor, [0.115] * 4),
    )
    places.shade_tree(rng, (-3.6, -2.2, 4.4))
    places.sky(42, 228, 0.085)
    places.camera(frames, lambda f: (0.2 - 0.006 * f, -3.4, 1.15), lambda f: (-0.05 + 0.004 * f, 0.3, 0.48), 42, 3.5)


def tumble(frames: int) -> None:
    """A teddy bear turns, waves, falls on its back and rolls head over heels."""
    room(21)
    friend = toys.bear(
        "bear",
        toys.coat_of((0.5, 0.33, 0.15), (0.38, 0.22, 0.09), 0.4, 3),
        toys.coat_of(CREAM, SNOW, 0.3, 5),
        m.cloth("scarf", "checks", (0.45, 0.03, 0.05), (0.75, 0.68, 0.5), 24),
        seed=130,
    ).label(1)
    bulk = [
        ((0, 0, -0.03), 0.3),
        ((0, 0, 0.53), 0.28),
        ((0.36, 0.2, -0.15), 0.15),
        ((0.36, -0.2, -0.15), 0.15),
        ((0.2, 0, 0.47), 0.12),
    ]
    for f in range(-1, frames + 2):
        t = f / 24
        spin, fall = -1.3 + 1.5 * ease(f, 2, 14), 2 * math.pi * ease(f, 12, 36)
        lowest = min(-math.sin(fall) * x + math.cos(fall) * z - r for (x, _, z), r in bulk)
        key(friend.root, f, (-0.85 + 1.5 * ease(f, 12, 36), 0.05, 0), (0, 0, spin - 0.9 * ease(f, 32, 42)))
        key(friend.joints["torso"], f, (0, 0, -lowest), (0.1 * math.sin(3 * t), fall, 0))
        key(
            friend.joints["head"],
            f,
            turn=(0.2 * math.sin(3.4 * t), 0.15 + 0.35 * ease(f, 10, 16) * (1 - ease(f, 30, 38)), 0.5 * math.sin(2.6 * t)),
        )
        for side, word in ((1, "left"), (-1, "right")):
            key(
                friend.joints[f"arm {word}"],
                f,
                turn=(side * (0.5 + 0.5 * math.sin(6 * t + side)), -1.0 - 1.1 * math.sin(4.4 * t + side), 0),
            )
            key(friend.joints[f"leg {word}"], f, turn=(0, 0.35 * math.sin(4 * t + 2 * side) * ease(f, 8, 14), side * 0.15))
    places.camera(
        frames, lambda f: (0.1 * math.sin(0.06 * f), -3.5, 1.3), lambda f: (-0.45 + 0.7 * ease(f, 10, 38), 0.05, 0.5), 42, 3.2
    )


def shadow(frames: int) -> None:
    """A car comes from the shade of a roof into the sun, and three times nearer."""
    ground, rng = terrace(31, back=4.6)
    motor = toys.car(
        "car",
        m.paint("yellow", (0.72, 0.38, 0.03), chips=0.07),
        m.paint("black", (0.03, 0.03, 0.035)),
        "53",
        m.paint("stripe", (0.05, 0.05, 0.055)),
    ).label(1)

    def path(f):
        s = ease(f, -6, frames + 4)
        return -0.75 + 0.9 * s + 0.35 * math.sin(5 * s), 2.9 - 4.5 * s, -1.45 + 0.75 * math.cos(5 * s + 0.7)

    toys.roll(motor, frames, path, ground.height, wheels(motor, [0.115] * 4))
    box(
        "awning",
        m.cloth("canvas", "stripes", (0.5, 0.42, 0.3), (0.1, 0.2, 0.12), 2, 60),
        (9, 2.9, 0.05),
        None,
        (-0.5, -0.25, 2.75),
    )
    for x in (-3.2, 2.6):
        box(
            "column",
            m.wood("beam", (0.36, 0.22, 0.12), (0.18, 0.1, 0.05), 1.5, 0.3, 2),
            (0.14, 0.14, 2.8),
            None,
            (x, 1.1, 1.35),
            bevel=0.015,
        )
    toys.pot("near pot", rng, None, (1.75, -0.6, 0), 0.42)
    places.sky(47, 197, 0.085)
    places.camera(
        frames,
        lambda f: (0.15 * math.sin(0.05 * f), -4.1, 1.2),
        lambda f: (0.5 * path(f)[0], 1.2 - 1.6 * ease(f, 0, frames), 0.42),
        46,
        5.6,
        focus=lambda f: (*path(f)[:2], 0.3),
    )


def fast(frames: int) -> None:
    """A racing car dashes to and fro over the table with the shutter open most of the time."""
    rng = table(41, 1.1)
    racer = toys.car(
        "racer",
        m.paint("red", (0.6, 0.03, 0.015), chips=0.06),
        m.paint("white", (0.78, 0.75, 0.68)),
        "7",
        m.paint("stripe", (0.8, 0.77, 0.7)),
        False,
    ).label(1)

    def path(f):
        swing = 2 * math.pi * max(0, f - 3) / 25
        spin = -math.pi * (ease(f, 13, 18.5) + ease(f, 25.5, 31) + ease(f, 38, 44))
        return -1.2 * math.cos(swing), 0.35 + 0.35 * math.sin(0.5 * swing), spin

    toys.roll(racer, frames, path, flat, wheels(racer, [0.115] * 4), 0.012)
    for k, (tone, title) in enumerate((("blue", "MOTION"), ("plum", "BLUR"))):
        toys.book(
            f"book {k}",
            (1.1 - 0.1 * k, 0.7, 0.16),
            linen(f"{tone} {k}"),
            title,
            None,
            (-1.2, 1.9, 0.08 + 0.16 * k),
            (0, 0, 0.1 - 0.15 * k),
        )
    toys.mug(
        "mug", m.plastic("china", (0.75, 0.72, 0.66), 0.12, 0.1, (0.35, 0.06, 0.04), "rings", 9), None, (1.55, 1.75, 0), 0.4
    )
    for k, tone in enumerate(((0.6, 0.1, 0.02), (0.02, 0.2, 0.5), (0.6, 0.4, 0.02), (0.1, 0.3, 0.05))):
        toys.crayon(
            f"crayon {k}", tone, None, (0.4 + 0.35 * rng.normal(), 1.7 + 0.15 * rng.normal(), 0), (0, 0, rng.uniform(0, 3))
        )
    for k, letter in enumerate("GO"):
        toys.block(
            f"block {k}",
            letter,
            ((0.5, 0.03, 0.02), (0.02, 0.1, 0.4))[k],
            None,
            (0.15 + 0.27 * k, 1.95, 0.11),
            (0, 0, 0.3 - 0.5 * k),
            0.22,
        )
    places.camera(
        frames,
        lambda f: (0.1 * math.sin(0.2 * f), -3.2, 1.35),
        lambda f: (0.15 * path(f)[0], 0.5, 0.32),
        38,
        5.0,
        focus=lambda f: (0, 0.4, 0.2),
    )


def thin(frames: int) -> None:
    """A bicycle rolls past a brick wall: spokes, tubes and a wire basket."""
    ground, rng = terrace(51)
    bike = toys.bicycle("bicycle", m.paint("mint", (0.05, 0.33, 0.28), gloss=0.75, chips=0.03)).label(1)

    def path(f):
        return -0.85 + 0.042 * f, 0.55 - 0.35 * math.sin(0.06 * f), 0.12 - 0.55 * math.sin(0.06 * f) * (f > 0)

    toys.roll(bike, frames, path, ground.height, {"back": 0.34, "front": 0.34, "crank": 0.7})
    for f in range(-1, frames + 2):
        key(bike.joints["lean"], f, turn=(0.09 * math.sin(0.17 * f), 0, 0))
        key(bike.joints["steer"], f, turn=(0, -0.28, 0.28 * math.sin(0.13 * f + 2)))
    places.shade_tree(rng, (-3.4, -1.8, 4.6))
    places.sky(40, 226, 0.085)
    places.camera(
        frames,
        lambda f: (-0.1 + 0.01 * f, -3.2, 1.1),
        lambda f: (-0.45 + 0.03 * f, 0.4, 0.52),
        40,
        4.5,
        focus=lambda f: (path(f)[0], path(f)[1], 0.5),
    )


def flock(frames: int) -> None:
    """Nine rubber ducks of one mould drift over a pond and pass before each other."""
    rng = np.random.default_rng(61)
    pond = m.water("pond", (0.006, 0.022, 0.02))
    for f in (-1, frames + 1):
        socket = pond.node_tree.nodes["phase"].inputs["Location"]
        socket.default_value = (0.01 * f, 0.004 * f, 0.02 * f)
        socket.keyframe_insert("default_value", frame=f)
    box("pond", pond, (26, 30, 0.02), None, (0, 9, -0.01), bevel=0.001)
    shore = places.Ground(
        m.soil("shore", [(0.05, 0.04, 0.025), (0.1, 0.08, 0.045), (0.17, 0.14, 0.09)], 1.2), 30, 0.05, 4, centre=(0, 22)
    )
    shore.thing.location.z = 0.05
    places.grass(shore, rng, 16000, 0.55, (-7, 7), (7.0, 8.6), -2.0, (0.05, 0.14, 0.02), (0.2, 0.21, 0.06))
    places.hedge(shore, rng, 9.5, tall=3.6)
    places.lilies(rng, 34, (-4, 4), (1.2, 6.5))
    first = toys.duck("duck", (0.8, 0.46, 0.006), (0.75, 0.11, 0.01))
    ducks = [first] + [toys.twin(first, f"duck {k}") for k in range(1, 9)]
    starts = [
        (-0.25, 0.35),
        (-1.5, 0.0),
        (0.95, -0.15),
        (-0.85, 1.1),
        (0.55, 1.0),
        (1.75, 0.8),
        (-1.9, 1.7),
        (0.1, 2.0),
        (1.35, 2.1),
    ]
    for k, (toy, (x, y)) in enumerate(zip(ducks, starts, strict=True)):
        toy.label(1 if k == 0 else 0)
        drift, phase, aim = rng.uniform(-0.008, 0.014), rng.uniform(0, 6.3), rng.normal(0, 0.35)
        if k == 0:
            drift, aim = 0.016, 0.0
        if k == 2:
            drift = -0.022
        for f in range(-1, frames + 2):
            t = f / 24
            key(
                toy.root,
                f,
                (x + drift * f, y + 0.05 * math.sin(0.9 * t + phase), -0.05 + 0.012 * math.sin(3.1 * t + phase)),
                (0, 0, (math.pi if drift < 0 else 0) + aim + 0.3 * math.sin(0.8 * t + phase)),
                (0.62, 0.62, 0.62),
            )
            key(toy.joints["rock"], f, turn=(0.06 * math.sin(2.6 * t + phase), 0.05 * math.sin(3.3 * t + phase), 0))
            key(toy.joints["head"], f, turn=(0, 0, 0.15 * math.sin(1.2 * t + phase)))
    places.sky(33, 222, 0.085)
    places.camera(frames, lambda f: (0.05 * math.sin(0.05 * f), -3.6, 1.55), lambda f: (0.05 + 0.003 * f, 0.7, 0.25), 40, 4.5)


SCENES: dict[str, Scene] = {
    "lookalikes": Scene(
        lookalikes,
        "Look-alikes cross",
        "Two dogs of the same breed pass before and behind the target: watch the score map light up on them too, and "
        "the refinement and memory decide.",
        {1: "dog in the red striped sweater"},
        48,
    ),
    "hidden": Scene(
        hidden,
        "Gone and back",
        "The engine disappears behind the books and returns on the other side: nothing may be labelled while it is "
        "hidden, and the memory must find it again.",
        {1: "wooden engine"},
        exposure=0.35,
        soft=False,
    ),
    "huddle": Scene(
        huddle,
        "Four that touch",
        "Four objects touch and cover each other: one target model each on shared features, then their masks are "
        "made to agree.",
        {1: "teddy bear", 2: "grey dog", 3: "rubber duck", 4: "beach ball"},
        exposure=0.3,
    ),
    "late": Scene(
        late,
        "A late arrival",
        "The car appears in the middle of the video: its target model starts at its own first mask, while the cat's "
        "carries on.",
        {1: "tabby cat", 2: "blue car"},
    ),
    "tumble": Scene(
        tumble,
        "Head over heels",
        "The bear turns, waves and rolls over: the first frame shows one side of it, the samples of the memory teach "
        "the others.",
        {1: "teddy bear"},
        exposure=0.3,
    ),
    "shadow": Scene(
        shadow,
        "Out of the shade",
        "The car leaves the shade and comes nearly three times as near: brightness, colour and scale change at once.",
        {1: "yellow car"},
        soft=False,
    ),
    "fast": Scene(
        fast,
        "Faster than the shutter",
        "At its fastest the car moves by a quarter of its length while the shutter is open: its edges are mixtures, "
        "and the next frame's score map is elsewhere.",
        {1: "red racing car"},
        shutter=0.85,
        exposure=0.3,
        soft=False,
    ),
    "thin": Scene(
        thin,
        "Thinner than a feature",
        "Spokes, tubes and wires are narrower than one cell of the score map, which is sixteen pixels wide: a failure "
        "case of the method.",
        {1: "bicycle"},
        soft=False,
    ),
    "flock": Scene(
        flock,
        "One of nine",
        "Nine ducks from one mould: appearance cannot tell them apart, so the score map lights up on all: a failure "
        "case of the method.",
        {1: "the duck in the middle"},
        soft=False,
    ),
}
