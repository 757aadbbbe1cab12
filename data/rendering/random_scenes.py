"""Random small scenes to train on: any toys, anywhere, moving anyhow, under any light, with distractors."""

import math

import numpy as np

from . import materials as m
from . import places, toys
from .scenes import Scene, flat
from .shapes import ball, box, key


def tone(rng: np.random.Generator, bright: float = 0.75) -> tuple[float, float, float]:
    """A random colour, from dull to vivid."""
    grey, hue = rng.uniform(0.05, bright), rng.random(3) ** rng.uniform(0.5, 3)
    vivid = rng.uniform(0.2, 1.0)
    return tuple(float(c) for c in np.clip(grey * (1 - vivid) + bright * hue * vivid, 0.01, 0.85))


def print_of(rng: np.random.Generator, name: str):
    """Cloth with a random print."""
    return m.cloth(
        name,
        str(rng.choice(["plain", "checks", "stripes", "rings", "dots", "plaid", "patches"])),
        tone(rng),
        tone(rng),
        rng.uniform(3, 16),
    )


def paint_of(rng: np.random.Generator, name: str):
    """Paint, plastic, wood or metal."""
    kind = rng.integers(4)
    if kind == 0:
        return m.plastic(
            name,
            tone(rng),
            rng.uniform(0.15, 0.6),
            0.1,
            tone(rng),
            str(rng.choice(["stripes", "checks", "rings", "dots"])),
            rng.uniform(3, 12),
        )
    if kind == 1:
        light = tone(rng)
        return m.wood(
            name, light, tuple(0.45 * c for c in light), rng.uniform(1.5, 4), rng.uniform(0.2, 0.6), int(rng.integers(3))
        )
    return m.paint(name, tone(rng), chips=rng.uniform(0.02, 0.14))


def coat_of(rng: np.random.Generator):
    """A random animal's coat."""
    natural = [toys.TAN, toys.RUST, toys.GREY, toys.CHOCOLATE, toys.CREAM, toys.SNOW, (0.05, 0.045, 0.045)]
    colours = [natural[k] for k in rng.choice(len(natural), 2, replace=False)] if rng.random() < 0.7 else [tone(rng), tone(rng)]
    return toys.coat_of(
        *colours,
        float(rng.uniform(0.1, 0.6)),
        int(rng.integers(10000)),
        float(rng.uniform(2.5, 7)),
        str(rng.choice(["patches", "patches", "spots", "stripes", "belly", "plain"])),
    )


def motion(rng: np.random.Generator, frames: int, centre: np.ndarray, speed: float) -> np.ndarray:
    """A random smooth way (frames + 4, 3) of x, y and heading whose middle is `centre`; row 0 is frame -1."""
    t = np.arange(frames + 4)
    weave = rng.uniform(0, 0.9) * np.sin(rng.uniform(0.04, 0.2) * t + rng.uniform(0, 6))
    heading = rng.uniform(0, 2 * math.pi) + rng.normal(0, 0.03) * t + weave
    pace = speed * np.clip(1 + 0.8 * np.sin(rng.uniform(0.05, 0.25) * t + rng.uniform(0, 6)), 0, None)
    way = np.cumsum(np.column_stack([np.cos(heading), 0.7 * np.sin(heading)]) * pace[:, None], 0)
    return np.column_stack([way - way.mean(0) + centre, heading])


def creature(rng: np.random.Generator, name: str) -> toys.Toy:
    """A random toy from the library."""
    kind = str(
        rng.choice(
            ["dog", "cat", "bear", "duck", "car", "engine", "wagon", "bicycle", "ball"],
            p=[0.2, 0.16, 0.16, 0.1, 0.12, 0.08, 0.05, 0.05, 0.08],
        )
    )
    seed, thin = int(rng.integers(1 << 30)), float(rng.uniform(4000, 8000))
    long = float(rng.uniform(0.02, 0.06))
    cover = print_of(rng, f"{name} cloth") if rng.random() < 0.6 else None
    if kind == "dog":
        sweater = print_of(rng, f"{name} sweater") if rng.random() < 0.4 else None
        return toys.dog(name, coat_of(rng), coat_of(rng), cover, sweater, None, long, thin, seed)
    if kind == "cat":
        return toys.cat(name, coat_of(rng), coat_of(rng), cover, 0.7 * long, thin, seed)
    if kind == "bear":
        return toys.bear(name, coat_of(rng), coat_of(rng), cover, long, thin, seed)
    if kind == "duck":
        return toys.duck(name, tone(rng, 0.85), tone(rng), float(rng.uniform(0.1, 0.5)))
    if kind == "car":
        return toys.car(
            name,
            paint_of(rng, f"{name} body"),
            paint_of(rng, f"{name} roof"),
            str(rng.integers(1, 100)),
            paint_of(rng, f"{name} stripe"),
            bool(rng.random() < 0.5),
        )
    if kind == "engine":
        return toys.engine(
            name,
            paint_of(rng, f"{name} body"),
            paint_of(rng, f"{name} trim"),
            "".join(rng.choice(list("ABCDEFGHKLMNPRSTVXYZ"), 2)),
        )
    if kind == "wagon":
        load = paint_of(rng, f"{name} load")
        return toys.wagon(
            name,
            paint_of(rng, f"{name} body"),
            paint_of(rng, f"{name} trim"),
            lambda root: [
                ball(f"{name} load", load, (0.12, 0.12, 0.12), root, (x, 0, 0.36), detail=3) for x in (-0.22, 0.02, 0.24)
            ],
        )
    if kind == "bicycle":
        return toys.bicycle(name, paint_of(rng, f"{name} paint"))
    return toys.beach_ball(
        name,
        float(rng.uniform(0.2, 0.4)),
        tuple(tone(rng, 0.85) for _ in range(6)),
        "".join(rng.choice(list("ABCDEFGHKLMNPRSTVXYZ"), 3)),
    )


def animate(rng: np.random.Generator, toy: toys.Toy, frames: int, way: np.ndarray, ground) -> None:
    """Moves a toy along its way as its joints allow."""
    size = float(rng.uniform(0.65, 1.15)) * (0.75 if "crank" in toy.joints else 1.0)

    def path(f):
        return tuple(way[f + 1])

    toy.root.scale = (size, size, size)
    if "fore left" in toy.joints:
        down = float(rng.uniform(0, frames))
        sits = (lambda f: max(0.0, 1 - abs(f - down) / 8)) if rng.random() < 0.3 else None
        toys.walk(
            toy,
            frames,
            path,
            ground,
            float(rng.uniform(0.4, 0.8)) / size,
            float(rng.uniform(0, 6)),
            float(rng.uniform(0.4, 1.4)),
            sits,
        )
    elif any(word.startswith("wheel") or word == "crank" for word in toy.joints):
        radii = {
            word: 0.34 * size if word in ("back", "front") else 0.12 * size
            for word in toy.joints
            if word.startswith(("wheel", "back", "front", "crank"))
        }
        toys.roll(toy, frames, path, ground, radii)
    else:
        hop, beat = rng.uniform(0, 0.35) * (rng.random() < 0.6), rng.uniform(0.15, 0.4)
        lean, phase = rng.uniform(0, 0.3), rng.uniform(0, 6)
        rolls, far = not toy.joints, 0.0
        for f in range(-1, frames + 2):
            x, y, heading = path(f)
            far += 0 if f < 0 else math.dist(way[f + 1, :2], way[f, :2])
            z = ground(x, y) + hop * abs(math.sin(beat * f + phase)) + (toy.reach * size if rolls else 0)
            tilt = lean * math.sin(0.2 * f + phase), lean * math.cos(0.17 * f + phase)
            turn = (0.3, far / (toy.reach * size), heading) if rolls else (*tilt, heading)
            key(toy.root, f, (x, y, z), turn)
            for n, (word, joint) in enumerate(toy.joints.items()):
                if word not in ("torso", "rock"):
                    swing = 0.5 * math.sin((0.12 + 0.03 * n) * f + phase + n)
                    key(joint, f, turn=(0.5 * swing, -0.8 + swing if word.startswith("arm") else 0.4 * swing, 0.5 * swing))


def place(rng: np.random.Generator):
    """A random ground, background, clutter and light; returns the ground's height function."""
    kind = str(rng.choice(["lawn", "terrace", "floor", "floor"]))
    height = flat
    if kind == "floor":
        if rng.random() < 0.5:
            light = tone(rng, 0.6)
            places.boards(
                "board",
                m.wood("floor", light, tuple(0.5 * c for c in light), rng.uniform(0.8, 1.5), rng.uniform(0.2, 0.6)),
                (-4.5, 4.5),
                (-2.4, 3.6),
                0.0,
                float(rng.uniform(0.2, 0.5)),
                rng,
            )
        else:
            box("floor", print_of(rng, "carpet"), (14, 12, 0.1), None, (0, 1, -0.05))
        if rng.random() < 0.6:
            places.shelf(rng, 3.4, (-4, 4), float(rng.uniform(1.6, 3.2)), 2)
        places.wall(
            print_of(rng, "wallpaper")
            if rng.random() < 0.6
            else m.soil("plaster", [tone(rng), tone(rng), tone(rng)], 0.8, 0.1),
            3.9,
        )
        places.room_light(tone(rng, 0.9), float(rng.uniform(0.2, 0.5)))
        side = rng.choice([-1, 1])
        places.lamp(
            (side * rng.uniform(2.5, 5), rng.uniform(-3, 1.5), rng.uniform(2.2, 4)),
            (0, 0.4, 0.2),
            float(rng.uniform(400, 1000)),
            float(rng.uniform(0.4, 2)),
            (1, float(rng.uniform(0.75, 1)), float(rng.uniform(0.5, 1))),
        )
    else:
        seed = int(rng.integers(1 << 30))
        if kind == "lawn":
            ground = places.Ground(
                m.soil("earth", [(0.04, 0.03, 0.02), (0.09, 0.065, 0.04), tone(rng, 0.3)], 1.2),
                seed=seed,
                rough=float(rng.uniform(0.02, 0.09)),
            )
            places.grass(
                ground,
                rng,
                int(rng.integers(1500, 14000)),
                float(rng.uniform(0.04, 0.12)),
                (-4, 4),
                (-2.4, 6),
                float(rng.uniform(-1.5, 0.5)),
            )
            places.flowers(ground, rng, int(rng.integers(0, 80)))
        else:
            ground = places.Ground(
                m.tiles(
                    "paving",
                    tone(rng, 0.5),
                    tone(rng, 0.5),
                    tone(rng, 0.3),
                    1.0,
                    float(rng.uniform(0.3, 0.9)),
                    float(rng.uniform(0.2, 0.5)),
                ),
                rough=0.015,
                fine=0.004,
                seed=seed,
            )
            box(
                "facade",
                m.tiles("brick", tone(rng, 0.5), tone(rng, 0.5), tone(rng, 0.5), 1.0, 0.36, 0.12),
                (18, 5, 0.1),
                None,
                (0, 3.8, 2.4),
                (math.pi / 2, 0, 0),
                0.01,
            )
        places.pebbles(ground, rng, 40)
        if kind == "lawn":
            (places.fence if rng.random() < 0.5 else places.hedge)(ground, rng, float(rng.uniform(4.5, 6)))
        if rng.random() < 0.4:
            places.shade_tree(rng, (rng.uniform(-3.5, 3.5), -2.0, 4.4), each=120, size=0.2)
        height = ground.height
        places.sky(
            float(rng.uniform(18, 60)),
            float(rng.uniform(110, 250)),
            float(rng.uniform(0.06, 0.11)),
            haze=float(rng.uniform(0.5, 4)),
        )
    for k in range(rng.integers(0, 6)):  # things that stand about, some of them before the toys
        x, y = rng.uniform(-1.8, 1.8), rng.choice([rng.uniform(-1.4, -0.7), rng.uniform(1.2, 2.8)])
        kind = rng.integers(4)
        if kind == 0:
            toys.book(
                f"book {k}",
                (0.8, 0.5, 0.16),
                print_of(rng, f"cover {k}"),
                "READ",
                None,
                (x, y, height(x, y) + 0.08),
                (0, 0, rng.uniform(-1, 1)),
            )
        elif kind == 1:
            toys.block(
                f"block {k}",
                str(rng.choice(list("ABCDEFGH"))),
                tone(rng),
                None,
                (x, y, height(x, y) + 0.1),
                (0, 0, rng.uniform(0, 3)),
                0.2,
            )
        elif kind == 2:
            toys.mug(f"mug {k}", paint_of(rng, f"china {k}"), None, (x, y, height(x, y)), float(rng.uniform(0.25, 0.5)))
        else:
            toys.pot(f"pot {k}", rng, None, (x, y, height(x, y)), float(rng.uniform(0.25, 0.5)))
    return height


def random_scene(seed: int, number: int) -> Scene:
    """The scene `number` of a series: one to three labelled toys and up to three that are not."""
    count = 1 + int(np.random.default_rng((seed, number, 0)).choice(3, p=[0.45, 0.35, 0.2]))

    def build(frames: int) -> None:
        rng = np.random.default_rng((seed, number, 1))
        height = place(rng)
        spots = [
            np.array((x + rng.normal(0, 0.15), y + rng.normal(0, 0.15)))
            for x, y in ((-0.8, 0.3), (0.8, 0.3), (0.0, 1.1), (0.1, -0.4), (-1.4, 1.6), (1.4, 1.6))
        ]
        order = [*rng.permutation(4).tolist(), 4, 5]
        others = int(rng.integers(0, 4))
        cast = []
        for k in range(count + others):
            alike = k >= count and rng.random() < 0.5
            cast.append(toys.twin(cast[int(rng.integers(count))], f"other {k}") if alike else creature(rng, f"toy {k}"))
        for k, toy in enumerate(cast):
            toy.label(k + 1 if k < count else 0)
            animate(
                rng,
                toy,
                frames,
                motion(rng, frames, spots[order[k]], float(rng.choice([0.004, 0.02, 0.045, 0.1], p=[0.2, 0.4, 0.3, 0.1]))),
                height,
            )
        start, end = rng.normal(0, 0.35, (2, 3)) * (1, 0.6, 0.6)
        near, high, lens = rng.uniform(2.9, 4.2), rng.uniform(0.6, 2.0), float(rng.uniform(34, 56))
        aim = rng.normal(0, 0.15, (2, 2))
        span = max(1, frames - 1)
        places.camera(
            frames,
            lambda f: np.array((0, -near, high)) + start + (end - start) * f / span,
            lambda f: (aim[0, 0] + aim[1, 0] * f / span, 0.35, 0.4 + aim[0, 1]),
            lens,
            float(rng.uniform(1.8, 8)),
            float(rng.uniform(0.3, 3)),
        )

    rng = np.random.default_rng((seed, number, 2))
    return Scene(
        build,
        f"Random scene {number} of seed {seed}",
        "For training.",
        {k + 1: f"toy {k}" for k in range(count)},
        24,
        float(rng.uniform(0.2, 0.9)),
        float(rng.uniform(-0.3, 0.6)),
    )
