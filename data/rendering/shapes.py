"""Meshes, fur and keyframes: what toys and places are built of."""

import math
from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils import Euler, Vector

Vec = Sequence[float]


def link(thing: bpy.types.Object, parent=None, at: Vec = (0, 0, 0), turn: Vec = (0, 0, 0), size: Vec = (1, 1, 1)):
    """Puts an object into the scene, hung on `parent`."""
    bpy.context.collection.objects.link(thing)
    thing.parent, thing.location, thing.rotation_euler, thing.scale = parent, at, turn, size
    return thing


def empty(name: str, parent=None, at: Vec = (0, 0, 0), turn: Vec = (0, 0, 0)):
    """A joint: an invisible object that others hang on."""
    return link(bpy.data.objects.new(name, None), parent, at, turn)


def smooth(mesh: bpy.types.Mesh) -> None:
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))


def mesh_from(name: str, corners: np.ndarray, faces: np.ndarray, material=None, colours: np.ndarray | None = None):
    """A mesh of corners (N, 3) and faces (M, 3 or 4); colours (N, 3) become the attribute `colour`."""
    mesh = bpy.data.meshes.new(name)
    count, sides = faces.shape
    mesh.vertices.add(len(corners))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(corners, np.float32).ravel())
    mesh.loops.add(count * sides)
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces, np.int32).ravel())
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, count * sides, sides, dtype=np.int32))
    mesh.update(calc_edges=True)
    if colours is not None:
        paint_points(mesh, colours)
    if material:
        mesh.materials.append(material)
    return mesh


def paint_points(mesh: bpy.types.Mesh, colours: np.ndarray) -> None:
    """Stores a colour (N, 3) for each corner as the attribute `colour`."""
    layer = mesh.attributes.new("colour", "FLOAT_COLOR", "POINT")
    layer.data.foreach_set("color", np.column_stack([colours, np.ones(len(colours))]).astype(np.float32).ravel())


def waves(points: np.ndarray, scale: float, seed: int) -> np.ndarray:
    """Smooth pseudo-noise of about unit variance at points (N, 3): a sum of random plane waves."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(14, 3)) * scale
    return np.sin(points @ directions.T + rng.uniform(0, 6.3, 14)).sum(1) / math.sqrt(7)


def ball(
    name: str,
    material,
    radii: Vec,
    parent=None,
    at: Vec = (0, 0, 0),
    turn: Vec = (0, 0, 0),
    lumps: float = 0.0,
    detail: int = 4,
    seed: int = 0,
):
    """A smooth ellipsoid; `lumps` roughens it like stuffed cloth or a stone."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=detail, radius=1)
    thing = bpy.context.object
    thing.name = name
    points = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    if lumps:
        points = points * (1 + lumps * waves(points, 1.6, seed) + 0.4 * lumps * waves(points, 4.0, seed + 1))[:, None]
    thing.data.vertices.foreach_set("co", (points * np.array(radii, np.float32)).ravel())
    smooth(thing.data)
    thing.data.materials.append(material)
    thing.parent, thing.location, thing.rotation_euler = parent, at, turn
    return thing


def box(name: str, material, size: Vec, parent=None, at: Vec = (0, 0, 0), turn: Vec = (0, 0, 0), bevel: float = 0.02):
    """A box with rounded edges."""
    x, y, z = (s / 2 for s in size)
    corners = np.array([(i, j, k) for i in (-x, x) for j in (-y, y) for k in (-z, z)])
    faces = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    thing = link(bpy.data.objects.new(name, mesh_from(name, corners, faces, material)), parent, at, turn)
    rounded(thing, bevel)
    return thing


def rounded(thing, bevel: float) -> None:
    modifier = thing.modifiers.new("bevel", "BEVEL")
    modifier.width, modifier.segments, modifier.limit_method = bevel, 3, "ANGLE"
    smooth(thing.data)
    modifier.harden_normals = False


def lathe(
    name: str,
    material,
    profile: Sequence[tuple[float, float]],
    parent=None,
    at: Vec = (0, 0, 0),
    turn: Vec = (0, 0, 0),
    steps: int = 48,
):
    """A body turned about the z axis from its profile of (radius, height)."""
    angles = np.linspace(0, 2 * math.pi, steps, endpoint=False)
    corners = np.concatenate([np.column_stack([r * np.cos(angles), r * np.sin(angles), np.full(steps, z)]) for r, z in profile])
    ring = np.arange(steps)
    faces = np.concatenate(
        [
            np.column_stack([ring, np.roll(ring, -1), np.roll(ring, -1) + steps, ring + steps]) + k * steps
            for k in range(len(profile) - 1)
        ]
    )
    thing = link(bpy.data.objects.new(name, mesh_from(name, corners, faces, material)), parent, at, turn)
    smooth(thing.data)
    return thing


def torus(name: str, material, radius: float, thick: float, parent=None, at: Vec = (0, 0, 0), turn: Vec = (0, 0, 0)):
    """A ring about the z axis."""
    bpy.ops.mesh.primitive_torus_add(major_radius=radius, minor_radius=thick, major_segments=56, minor_segments=14)
    thing = bpy.context.object
    thing.name = name
    smooth(thing.data)
    thing.data.materials.append(material)
    thing.parent, thing.location, thing.rotation_euler = parent, at, turn
    return thing


def tube(
    name: str,
    material,
    points: Sequence[Vec],
    thick: float,
    parent=None,
    at: Vec = (0, 0, 0),
    turn: Vec = (0, 0, 0),
    bend: bool = False,
):
    """A round rod along points, straight or bent smoothly."""
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution, curve.use_fill_caps = "3D", thick, 3, True
    spline = curve.splines.new("BEZIER" if bend else "POLY")
    if bend:
        spline.bezier_points.add(len(points) - 1)
        for point, place in zip(spline.bezier_points, points, strict=True):
            point.co, point.handle_left_type, point.handle_right_type = place, "AUTO", "AUTO"
    else:
        spline.points.add(len(points) - 1)
        for point, place in zip(spline.points, points, strict=True):
            point.co = (*place, 1)
    curve.materials.append(material)
    return link(bpy.data.objects.new(name, curve), parent, at, turn)


def letters(
    text: str, material, height: float, parent=None, at: Vec = (0, 0, 0), turn: Vec = (math.pi / 2, 0, 0), deep: float = 0.008
):
    """Raised lettering, centred; as it stands it reads from the -y side."""
    font = bpy.data.curves.new(f"letters {text}", "FONT")
    font.body, font.size, font.extrude, font.bevel_depth = text, height * 1.35, deep, deep * 0.3
    font.align_x, font.align_y = "CENTER", "CENTER"
    font.materials.append(material)
    return link(bpy.data.objects.new(font.name, font), parent, at, turn)


def fuse(
    name: str,
    material,
    blobs: Sequence[tuple[Vec, Vec] | tuple[Vec, Vec, Vec]],
    coat: Callable,
    parent=None,
    at: Vec = (0, 0, 0),
    voxel: float = 0.022,
    rounds: int = 6,
):
    """One seamless body grown from ellipsoids (centre, radii[, turn]); `coat` gives colours (N, 3) at points (N, 3)."""
    corners, faces, first = [], [], 0
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=1)
    unit = bpy.context.object
    sphere = np.array([v.co for v in unit.data.vertices])
    sides = np.array([p.vertices for p in unit.data.polygons])
    bpy.data.objects.remove(unit)
    for centre, radii, *turn in blobs:
        matrix = np.array(Euler(turn[0] if turn else (0, 0, 0)).to_matrix())
        corners.append((sphere * radii) @ matrix.T + centre)
        faces.append(sides + first)
        first += len(sphere)
    raw = link(bpy.data.objects.new(name, mesh_from(name, np.concatenate(corners), np.concatenate(faces))))
    remesh = raw.modifiers.new("fuse", "REMESH")
    remesh.mode, remesh.voxel_size = "VOXEL", voxel
    soften = raw.modifiers.new("soften", "SMOOTH")
    soften.iterations, soften.factor = rounds, 0.5
    mesh = bpy.data.meshes.new_from_object(raw.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    bpy.data.objects.remove(raw)
    mesh.name = name
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    paint_points(mesh, coat(points.reshape(-1, 3)))
    mesh.materials.clear()
    mesh.materials.append(material)
    smooth(mesh)
    return link(bpy.data.objects.new(name, mesh), parent, at)


def fur(
    body: bpy.types.Object,
    material,
    coat: Callable,
    density: float,
    length: float,
    flow: Vec = (-0.6, 0, -0.5),
    wild: float = 0.35,
    thick: float = 0.0035,
    curl: float = 0.0,
    seed: int = 0,
    bare: Callable | None = None,
):
    """Grows hair on a mesh: a hair-curves object on the same joint, so that a moving toy keeps its geometry.

    Args:
        density: hairs a square unit.
        length, thick: of a hair, in units.
        flow: direction in which the coat is combed, added to the skin's normal.
        wild: how far hairs stray from it; curl: how far tips turn sideways (fleece).
        bare: points (N, 3) -> True where no hair grows.
    """
    mesh, rng = body.data, np.random.default_rng(seed)
    mesh.calc_loop_triangles()
    corners = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", corners)
    normals = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("normal", normals)
    faces = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", faces)
    corners, normals, faces = corners.reshape(-1, 3), normals.reshape(-1, 3), faces.reshape(-1, 3)
    a, b, c = (corners[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    count = max(1, int(density * area.sum()))
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u)[:, None], np.where(u + v > 1, 1 - v, v)[:, None]
    root, skin = (
        values[faces[chosen, 0]] * (1 - u - v) + values[faces[chosen, 1]] * u + values[faces[chosen, 2]] * v
        for values in (corners, normals)
    )
    if bare is not None:
        keep = ~bare(root)
        root, skin = root[keep], skin[keep]
    skin /= np.linalg.norm(skin, axis=1, keepdims=True) + 1e-9
    count = len(root)
    combed = np.array(flow) - (skin @ np.array(flow))[:, None] * skin
    tilt = combed + wild * rng.normal(size=(count, 3))
    long = (length * rng.uniform(0.6, 1.1, count) * (1 + 0.2 * waves(root, 12, seed)))[:, None]
    side = np.cross(skin, rng.normal(size=(count, 3))) * curl
    along = [0.0, 0.4, 0.75, 1.0]
    points = np.stack([root - 0.004 * skin + long * (f * skin * 0.8 + f * f * tilt + math.sin(4 * f) * side) for f in along], 1)
    curves = bpy.data.hair_curves.new(body.name + " fur")
    curves.add_curves([len(along)] * count)
    curves.attributes["position"].data.foreach_set("vector", points.astype(np.float32).ravel())
    radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", np.tile(thick * np.array([1, 0.9, 0.6, 0.12], np.float32), count))
    tint = coat(root) * (1 + 0.18 * rng.normal(size=(count, 1)))
    layer = curves.attributes.new("colour", "FLOAT_COLOR", "CURVE")
    layer.data.foreach_set("color", np.column_stack([np.clip(tint, 0, 1), np.ones(count)]).astype(np.float32).ravel())
    layer = curves.attributes.new("skin", "FLOAT_VECTOR", "CURVE")
    layer.data.foreach_set("vector", skin.astype(np.float32).ravel())
    curves.materials.append(material)
    return link(bpy.data.objects.new(curves.name, curves), body)


# --- movement


def key(thing, frame: float, at: Vec | None = None, turn: Vec | None = None, size: Vec | None = None) -> None:
    """Keyframes a place, a rotation (radians) and a scale."""
    for channel, value in (("location", at), ("rotation_euler", turn), ("scale", size)):
        if value is not None:
            setattr(thing, channel, value)
            thing.keyframe_insert(channel, frame=frame)


def family(root: bpy.types.Object) -> list[bpy.types.Object]:
    """The object and all that hangs on it."""
    return [root, *root.children_recursive]


def number(root: bpy.types.Object, index: int) -> None:
    """Gives a toy its object id: the value of its pixels in the masks (0: not labelled)."""
    for thing in family(root):
        thing.pass_index = index


def look_at(place: Vec, target: Vec) -> Euler:
    """Rotation of a camera at `place` that looks at `target`."""
    return (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()
