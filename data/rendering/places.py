"""Where things happen: grounds, plants, clutter, light and camera."""

import math
from collections.abc import Callable, Sequence

import bpy
import numpy as np

from . import materials as m
from .shapes import ball, box, key, link, look_at, mesh_from, smooth, waves


class Ground:
    """An uneven ground of square extent: `height(x, y)` in units."""

    def __init__(self, material, size: float = 24, rough: float = 0.05, seed: int = 0, fine: float = 0.012, centre=(0, 4)):
        self.rough, self.fine, self.seed = rough, fine, seed
        steps = 260
        span = np.linspace(-1, 1, steps)
        span = np.sign(span) * (0.45 * np.abs(span) + 0.55 * np.abs(span) ** 3) * size / 2  # finer near the middle
        x, y = np.meshgrid(span + centre[0], span + centre[1])
        corners = np.column_stack([x.ravel(), y.ravel(), self.heights(x.ravel(), y.ravel())])
        index = np.arange(steps * steps).reshape(steps, steps)
        faces = np.column_stack(
            [index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()]
        )
        self.mesh = mesh_from("ground", corners, faces, material)
        smooth(self.mesh)
        self.thing = link(bpy.data.objects.new("ground", self.mesh))

    def heights(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        points = np.column_stack([x, y, np.zeros(len(x))])
        return self.rough * waves(points, 0.45, self.seed) + self.fine * waves(points, 2.6, self.seed + 1)

    def height(self, x: float, y: float) -> float:
        return float(self.heights(np.array([x]), np.array([y]))[0])


def scattered(rng: np.random.Generator, count: int, across: Sequence[float], deep: Sequence[float], nearer: float = 0.6):
    """Places (count, 2) in a rectangle, denser towards the camera's side (low y)."""
    x = rng.uniform(*across, count)
    y = deep[0] + (deep[1] - deep[0]) * rng.random(count) ** (1 + nearer)
    return np.column_stack([x, y])


def grass(
    ground: Ground,
    rng,
    count: int = 60000,
    tall: float = 0.09,
    across=(-5, 5),
    deep=(-2.6, 9),
    patchy: float = -0.6,
    lush=(0.05, 0.14, 0.018),
    dry=(0.27, 0.24, 0.07),
    keep: Callable | None = None,
) -> None:
    """Blades of grass in one mesh, in patches, green to dry; `keep` may exclude places (N, 2)."""
    places = scattered(rng, count, across, deep)
    flat = np.column_stack([places, np.zeros(count)])
    thick = waves(flat, 0.9, 77)
    alive = thick + 0.5 * rng.normal(size=count) > patchy
    if keep:
        alive &= keep(places)
    places, flat, thick = places[alive], flat[alive], thick[alive]
    count = len(places)
    turn, lean = rng.uniform(0, 2 * math.pi, count), rng.uniform(0.1, 0.9, count)
    high = tall * rng.gamma(6, 1 / 6, count) * (1 + 0.3 * np.clip(thick, -1, 2))
    wide = tall * rng.uniform(0.035, 0.07, count)
    out = np.column_stack([np.cos(turn), np.sin(turn), np.zeros(count)])
    side = np.column_stack([-np.sin(turn), np.cos(turn), np.zeros(count)]) * wide[:, None]
    base = np.column_stack([places, ground.heights(*places.T) - 0.005])
    up = np.array([0, 0, 1.0])
    rows = []
    for f, narrow in ((0.0, 1.0), (0.4, 0.9), (0.75, 0.6), (1.0, 0.0)):
        middle = base + high[:, None] * (f * up * (1 - 0.25 * lean[:, None] * f) + out * (lean[:, None] * f * f))
        rows += [middle - side * narrow, middle + side * narrow] if narrow else [middle]
    corners = np.stack(rows, 1)
    quads = [(0, 1, 3), (0, 3, 2), (2, 3, 5), (2, 5, 4), (4, 5, 6)]
    faces = (np.arange(count)[:, None, None] * 7 + np.array(quads)).reshape(-1, 3)
    blend = np.clip(0.45 + 0.22 * rng.normal(size=count) - 0.2 * waves(flat, 0.6, 31), 0, 1)[:, None]
    colour = (np.array(lush) * (1 - blend) + np.array(dry) * blend) * rng.uniform(0.7, 1.2, (count, 1))
    shade = np.array([0.45, 0.45, 0.8, 0.8, 1.05, 1.05, 1.25])[None, :, None]
    mesh = mesh_from("grass", corners.reshape(-1, 3), faces, m.leaf("grass"), (colour[:, None] * shade).reshape(-1, 3))
    smooth(mesh)
    link(bpy.data.objects.new("grass", mesh))


def leaves(
    centres: np.ndarray,
    radii: np.ndarray,
    rng,
    each: int = 900,
    size: float = 0.06,
    name: str = "leaves",
    light=(0.14, 0.24, 0.05),
    dark=(0.025, 0.08, 0.02),
) -> None:
    """Bushes: leaves in one mesh around ellipsoids (K, 3), (K, 3)."""
    count = each * len(centres)
    owner = np.repeat(np.arange(len(centres)), each)
    ray = rng.normal(size=(count, 3))
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    place = centres[owner] + ray * radii[owner] * (1 + 0.22 * waves(ray * 3 + centres[owner], 2, 5)[:, None]) * rng.uniform(
        0.75, 1.05, (count, 1)
    )
    normal = ray + 0.8 * rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    one = np.cross(normal, rng.normal(size=(count, 3)))
    one *= size * rng.uniform(0.6, 1.2, (count, 1)) / np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(normal, one) * 0.5
    corners = np.stack([place - one, place + two * 0.9, place + one, place - two * 0.9], 1)
    faces = np.arange(count * 4).reshape(-1, 4)
    blend = np.clip(0.5 + 0.3 * ray[:, 2:] + 0.25 * rng.normal(size=(count, 1)), 0, 1)
    colour = np.array(dark) * (1 - blend) + np.array(light) * blend
    link(bpy.data.objects.new(name, mesh_from(name, corners.reshape(-1, 3), faces, m.leaf(name), np.repeat(colour, 4, 0))))


def hedge(ground: Ground, rng, y: float = 7.5, across=(-8, 8), tall: float = 2.7, each: int = 1400, size: float = 0.08) -> None:
    """A row of bushes of different greens across the back."""
    count = int((across[1] - across[0]) / 0.9)
    x = np.linspace(*across, count) + rng.normal(0, 0.2, count)
    for k, (light, dark) in enumerate(
        [
            ((0.16, 0.26, 0.05), (0.03, 0.09, 0.02)),
            ((0.08, 0.17, 0.06), (0.015, 0.05, 0.02)),
            ((0.26, 0.27, 0.06), (0.07, 0.1, 0.02)),
        ]
    ):
        some = x[k::3]
        high = tall * rng.uniform(0.6, 1.15, len(some))
        centres = np.column_stack([some, y + rng.normal(0, 0.35, len(some)), 0.5 * high])
        leaves(
            centres,
            np.column_stack([rng.uniform(0.6, 0.95, len(some)), np.full(len(some), 0.7), 0.6 * high]),
            rng,
            each,
            size,
            f"bush {k}",
            light,
            dark,
        )


def pebbles(ground: Ground, rng, count: int = 150, across=(-4, 4), deep=(-2, 6), size=(0.015, 0.06)) -> None:
    """Stones of three kinds, half sunk."""
    kinds = []
    for k in range(3):
        tone = rng.uniform(0.7, 1.2)
        stone = ball(
            f"stone {k}",
            m.soil(
                f"stone {k}",
                [tuple(tone * np.array(c)) for c in ((0.16, 0.14, 0.12), (0.3, 0.28, 0.25), (0.46, 0.43, 0.38))],
                5,
            ),
            (1, 0.8, 0.55),
            lumps=0.16,
            detail=3,
            seed=k,
        )
        kinds.append(stone.data)
        bpy.data.objects.remove(stone)
    for x, y in scattered(rng, count, across, deep):
        s = rng.uniform(*size) * rng.uniform(0.5, 1.2)
        link(
            bpy.data.objects.new("stone", kinds[rng.integers(3)]),
            None,
            (x, y, ground.height(x, y) + 0.2 * s),
            (rng.normal(0, 0.2), rng.normal(0, 0.2), rng.uniform(0, 6.3)),
            (s, s, s),
        )


def flowers(ground: Ground, rng, count: int = 120, across=(-5, 5), deep=(0, 7), tall=(0.1, 0.2), keep=None) -> None:
    """Daisies, buttercups and clover: petals, a heart and a stem, in one mesh."""
    corners, faces, colours = [], [], []
    tones = [
        ((0.85, 0.85, 0.82), (0.8, 0.55, 0.05)),
        ((0.85, 0.65, 0.03), (0.7, 0.4, 0.02)),
        ((0.5, 0.16, 0.5), (0.35, 0.1, 0.35)),
    ]
    places = scattered(rng, count, across, deep)
    for x, y in places[keep(places)] if keep else places:
        petal, heart = tones[rng.integers(3)]
        top = np.array([x, y, ground.height(x, y) + rng.uniform(*tall)])
        tilt, petals, r = rng.normal(0, 0.35, 2), 8, rng.uniform(0.025, 0.042)
        for k in range(petals):
            a, w = 2 * math.pi * k / petals, math.pi / petals * 0.8
            ring = [(0.0, a, 0), (0.85, a - w, 0.08), (1.05, a, 0.0), (0.85, a + w, 0.08)]
            points = [
                top + r * np.array([f * math.cos(b), f * math.sin(b), z + f * (tilt @ (math.cos(b), math.sin(b)))])
                for f, b, z in ring
            ]
            faces.append(np.arange(4) + 4 * len(faces))
            corners += points
            colours += [petal] * 4
        lift, stem = np.array([0, 0, 0.12 * r]), np.array([0.003, 0, 0])
        corners += [top + lift + 0.32 * r * np.array([math.cos(a), math.sin(a), 0]) for a in (0.8, 2.4, 3.9, 5.5)]
        faces.append(np.arange(4) + 4 * len(faces))
        colours += [heart] * 4
        foot = np.array([x + rng.normal(0, 0.02), y, top[2] - 0.25])
        corners += [foot - stem, foot + stem, top + stem, top - stem]
        faces.append(np.arange(4) + 4 * len(faces))
        colours += [(0.06, 0.15, 0.02)] * 4
    if not faces:
        return
    mesh = mesh_from("flowers", np.array(corners), np.array(faces), m.leaf("flower", 0.25), np.array(colours))
    link(bpy.data.objects.new("flowers", mesh))


def fence(
    ground: Ground, rng, y: float = 5.6, across=(-7, 7), tall: float = 1.0, wide: float = 0.2, gap: float = 0.05, material=None
) -> None:
    """Weathered pickets on two rails."""
    material = material or m.wood("pickets", (0.3, 0.23, 0.17), (0.1, 0.075, 0.055), 1.6, 0.2, 2, 0.6)
    x = across[0]
    while x < across[1]:
        high = tall * rng.uniform(0.94, 1.05)
        box(
            "picket",
            material,
            (wide, 0.035, high),
            None,
            (x, y + rng.normal(0, 0.008), high / 2 + ground.height(x, y) - 0.03),
            (rng.normal(0, 0.015), rng.normal(0, 0.02), rng.normal(0, 0.03)),
            0.012,
        )
        x += wide + gap
    for z in (0.28, 0.76):
        box("rail", material, (across[1] - across[0], 0.05, 0.09), None, ((across[0] + across[1]) / 2, y + 0.05, z * tall))


def boards(name: str, material, across, deep, z: float, wide: float = 0.22, rng=None, thick: float = 0.04) -> None:
    """Planks side by side along x, each a little off: a table top or a floor whose upper side is at z."""
    rng = rng or np.random.default_rng(0)
    y = deep[0]
    while y < deep[1]:
        start = across[0] - rng.uniform(0, 2)
        while start < across[1]:
            long = rng.uniform(2.2, 3.4)
            box(
                name,
                material,
                (long - 0.004, wide - 0.004, thick),
                None,
                (start + long / 2, y + wide / 2, z - thick / 2 + rng.normal(0, 0.0006)),
                bevel=0.004,
            )
            start += long
        y += wide


def shelf(rng, y: float, across=(-3.5, 3.5), tall: float = 3.0, rows: int = 3, low: float = 0.0) -> None:
    """Shelves full of books, vases and boxes along the back."""
    oak = m.wood("shelf", (0.36, 0.21, 0.1), (0.17, 0.09, 0.04), 1.2, 0.4)
    tones = [
        (0.35, 0.04, 0.03),
        (0.03, 0.1, 0.25),
        (0.05, 0.2, 0.1),
        (0.5, 0.36, 0.12),
        (0.55, 0.5, 0.4),
        (0.12, 0.06, 0.12),
        (0.4, 0.16, 0.04),
    ]
    covers = [m.cloth(f"cover {k}", "plain", tone, tuple(0.6 * c for c in tone), 5, 120) for k, tone in enumerate(tones)]
    middle, span = (across[0] + across[1]) / 2, across[1] - across[0]
    box(
        "back",
        m.wood("back", (0.25, 0.14, 0.07), (0.14, 0.075, 0.035), 1.0, 0.3),
        (span, 0.03, tall),
        None,
        (middle, y + 0.36, low + tall / 2),
    )
    step = tall / rows
    for row in range(rows + 1):
        box("shelf", oak, (span, 0.42, 0.05), None, (middle, y + 0.2, low + row * step), bevel=0.01)
        x = across[0] + 0.1
        while row < rows and x < across[1] - 0.2:
            if rng.random() < 0.12:
                ball(
                    "vase",
                    covers[rng.integers(len(covers))],
                    (0.14, 0.14, 0.22),
                    None,
                    (x + 0.2, y + 0.15, low + row * step + 0.23),
                    detail=3,
                )
                x += 0.45
                continue
            for _ in range(rng.integers(3, 8)):
                wide, high = rng.uniform(0.05, 0.11), step * rng.uniform(0.55, 0.82)
                box(
                    "volume",
                    covers[rng.integers(len(covers))],
                    (wide, 0.28, high),
                    None,
                    (x + wide / 2, y + 0.18, low + row * step + 0.03 + high / 2),
                    (0, rng.normal(0, 0.015), 0),
                    0.01,
                )
                x += wide + 0.006
            x += rng.uniform(0, 0.25)


def wall(material, y: float, across=(-9, 9), tall: float = 6, low: float = 0.0):
    """A plain upright wall facing the camera."""
    return box(
        "wall",
        material,
        (across[1] - across[0], 0.1, tall),
        None,
        ((across[0] + across[1]) / 2, y + 0.05, low + tall / 2),
        bevel=0.005,
    )


def shade_tree(rng, at, radius: float = 1.4, each: int = 260, size: float = 0.13) -> None:
    """Foliage outside the picture whose shadow dapples the ground."""
    centres = np.array(at) + rng.normal(0, radius * 0.6, (5, 3))
    leaves(centres, np.full((5, 3), radius * 0.7), rng, each, size, "crown")


def lilies(rng, count: int, across, deep) -> None:
    """Round leaves on the water."""
    corners, faces, colours = [], [], []
    for x, y in scattered(rng, count, across, deep):
        r, first, turn = rng.uniform(0.12, 0.26), len(corners), rng.uniform(0, 6.3)
        rim = [turn + a for a in np.linspace(0.2, 6.08, 18)]
        corners += [(x, y, 0.012)] + [(x + r * math.cos(a), y + r * math.sin(a), 0.014 + 0.012 * math.sin(3 * a)) for a in rim]
        faces += [(first, first + k, first + k + 1) for k in range(1, 18)]
        tone = np.array((0.1, 0.2, 0.04)) * rng.uniform(0.6, 1.3)
        colours += [tone * 0.8] + [tone] * 18
    link(
        bpy.data.objects.new(
            "lilies", mesh_from("lilies", np.array(corners), np.array(faces), m.leaf("lily", 0.2), np.array(colours))
        )
    )


# --- light and camera


def sky(
    elevation: float = 35, bearing: float = 200, strength: float = 0.25, sun: float = 1.0, size: float = 1.5, haze: float = 1.0
) -> None:
    """A physical sky with its sun (degrees)."""
    world = bpy.context.scene.world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    nodes = world.node_tree.nodes
    node = nodes.new("ShaderNodeTexSky")
    node.sky_type, node.sun_elevation, node.sun_rotation = "NISHITA", math.radians(elevation), math.radians(bearing)
    node.sun_intensity, node.sun_size, node.dust_density = sun, math.radians(size), haze
    world.node_tree.links.new(node.outputs[0], nodes["Background"].inputs["Color"])
    nodes["Background"].inputs["Strength"].default_value = strength


def room_light(colour=(1, 0.93, 0.85), strength: float = 0.35) -> None:
    """A dim even light all around, as indoors."""
    world = bpy.context.scene.world = bpy.data.worlds.new("room")
    world.use_nodes = True
    node = world.node_tree.nodes["Background"]
    node.inputs["Color"].default_value, node.inputs["Strength"].default_value = (*colour, 1), strength


def lamp(at, target, power: float, size: float = 1.0, colour=(1, 0.95, 0.88), name: str = "lamp"):
    """A rectangular light, a window or a softbox, aimed at `target`."""
    data = bpy.data.lights.new(name, "AREA")
    data.energy, data.size, data.color = power, size, colour
    return link(bpy.data.objects.new(name, data), None, at, look_at(at, target))


def camera(
    frames: int,
    place: Callable,
    target: Callable,
    lens: float = 42,
    stop: float = 4.0,
    sway: float = 1.0,
    focus: Callable | None = None,
    rate: float = 24.0,
) -> None:
    """A hand-held camera: place and target are frame -> (x, y, z); `stop` is the aperture."""
    data = bpy.data.cameras.new("camera")
    thing = link(bpy.data.objects.new("camera", data))
    bpy.context.scene.camera = thing
    data.lens, data.sensor_width = lens, 36
    data.dof.use_dof, data.dof.aperture_fstop = True, stop
    for frame in range(-1, frames + 2):
        t = frame / rate
        shake = np.array(
            [
                math.sin(2.1 * t) + 0.4 * math.sin(5.3 * t),
                math.sin(1.7 * t + 1),
                math.sin(2.6 * t + 2) + 0.3 * math.sin(6.1 * t),
            ]
        )
        at = np.array(place(frame)) + 0.012 * sway * shake
        aim = np.array(target(frame)) + 0.01 * sway * shake[[2, 0, 1]]
        key(thing, frame, at, look_at(at, aim))
        data.dof.focus_distance = math.dist(at, (focus or target)(frame))
        data.dof.keyframe_insert("focus_distance", frame=frame)
