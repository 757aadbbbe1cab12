"""Renders the bundled teaching scenes with Blender's Python module: frames, exact masks, scenes.json.

    pip install "bpy==4.5.*" numpy opencv-python pillow       # a virtual environment of its own, Python 3.11
    python data/render_scenes.py [--scene NAME] [--frames N] [--width W] [--samples N] [--out DIR]

Every frame that exists already is skipped, so a run that was cut off is started again. Masks are rendered in a second
pass: object ids as flat light, one sample a pixel, no filter, at the middle of the shutter's opening. Where motion
blurs an edge, the label is therefore where the object is at that instant.
"""

import argparse
import json
import math
import random
import sys
import tempfile
from pathlib import Path

try:
    import bpy
except ImportError:
    sys.exit('render_scenes: Blender\'s module is missing: pip install "bpy==4.5.*" (Python 3.11)')
import cv2
import numpy as np
from mathutils import Vector, noise
from PIL import Image

WIDTH, HEIGHT = 854, 480
ID_STEP = 20  # grey levels between object ids in the mask pass


# --- materials

def material(name, first, second, kind, scale, bump=0.2, rough=0.8):
    """A two-colour procedural surface: 'fur', 'checks', 'stripes', 'wood' or 'soil'."""
    mat = bpy.data.materials.new(name)
    mat.use_nodes = True
    nodes, links = mat.node_tree.nodes, mat.node_tree.links
    surface = nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = rough
    where = nodes.new("ShaderNodeTexCoord")
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*first, 1), (*second, 1)
    fine = nodes.new("ShaderNodeTexNoise")
    fine.inputs["Scale"].default_value, fine.inputs["Detail"].default_value = scale * 6, 10
    links.new(where.outputs["Object"], fine.inputs["Vector"])
    if kind == "checks":
        pattern = nodes.new("ShaderNodeTexChecker")
        pattern.inputs["Scale"].default_value = scale
        value = pattern.outputs["Fac"]
    elif kind in ("stripes", "wood"):
        pattern = nodes.new("ShaderNodeTexWave")
        pattern.inputs["Scale"].default_value = scale
        pattern.inputs["Distortion"].default_value = 1.5 if kind == "stripes" else 6
        value = pattern.outputs["Fac"]
        ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.4, 0.6
    else:
        pattern = nodes.new("ShaderNodeTexNoise")
        pattern.inputs["Scale"].default_value, pattern.inputs["Detail"].default_value = scale, 8
        value = pattern.outputs["Fac"]
        ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.35, 0.65
    links.new(where.outputs["Object"], pattern.inputs["Vector"])
    links.new(value, ramp.inputs["Fac"])
    speckle = nodes.new("ShaderNodeMixRGB")
    speckle.blend_type, speckle.inputs["Fac"].default_value = "OVERLAY", 0.6
    links.new(ramp.outputs["Color"], speckle.inputs[1])
    links.new(fine.outputs["Fac"], speckle.inputs[2])
    links.new(speckle.outputs["Color"], surface.inputs["Base Color"])
    relief = nodes.new("ShaderNodeBump")
    relief.inputs["Strength"].default_value = bump
    links.new(fine.outputs["Fac"], relief.inputs["Height"])
    links.new(relief.outputs["Normal"], surface.inputs["Normal"])
    return mat


# --- shapes

def blob(parent, mat, at, size, turn=(0, 0, 0), lumps=0.0, index=0):
    """A smooth ellipsoid, hung on `parent`; `lumps` roughens it like stuffed cloth."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4, radius=1)
    thing = bpy.context.object
    if lumps:
        for vertex in thing.data.vertices:
            vertex.co *= 1 + lumps * noise.noise(vertex.co * 1.7 + Vector(at) * 3)
    bpy.ops.object.shade_smooth()
    thing.parent, thing.location, thing.scale, thing.rotation_euler = parent, at, size, turn
    thing.data.materials.append(mat)
    thing.pass_index = index
    return thing


def empty(name):
    thing = bpy.data.objects.new(name, None)
    bpy.context.collection.objects.link(thing)
    return thing


def toy_dog(name, index, coat, trim, shirt):
    """A stuffed dog, one unit long, standing at the origin and looking along x. Returns root, head, legs, tail."""
    root = empty(name)
    blob(root, coat, (0, 0, 0.52), (0.46, 0.25, 0.25), lumps=0.06, index=index)
    blob(root, shirt, (0.06, 0, 0.53), (0.25, 0.265, 0.265), lumps=0.03, index=index)
    head = empty(name + " head")
    head.parent, head.location = root, (0.42, 0, 0.78)
    blob(head, coat, (0.06, 0, 0.04), (0.22, 0.2, 0.2), lumps=0.05, index=index)
    blob(head, trim, (0.25, 0, -0.02), (0.14, 0.1, 0.09), lumps=0.04, index=index)
    dark = material(name + " dark", (0.01, 0.01, 0.01), (0.03, 0.02, 0.02), "fur", 5, rough=0.2)
    blob(head, dark, (0.38, 0, 0.02), (0.04, 0.05, 0.035), index=index)
    for side in (-1, 1):
        blob(head, dark, (0.2, 0.09 * side, 0.12), (0.03, 0.03, 0.035), index=index)
        blob(head, trim, (0.0, 0.2 * side, 0.02), (0.08, 0.035, 0.17), (0.35 * side, 0.2, 0), lumps=0.1, index=index)
    legs = []
    for x in (-0.28, 0.3):
        for side in (-1, 1):
            leg = empty(f"{name} leg {x} {side}")
            leg.parent, leg.location = root, (x, 0.15 * side, 0.45)
            blob(leg, coat, (0, 0, -0.2), (0.09, 0.085, 0.24), lumps=0.06, index=index)
            blob(leg, trim, (0.03, 0, -0.4), (0.12, 0.09, 0.06), index=index)
            legs.append(leg)
    tail = empty(name + " tail")
    tail.parent, tail.location = root, (-0.42, 0, 0.62)
    blob(tail, trim, (-0.08, 0, 0.14), (0.055, 0.055, 0.2), (0, -0.5, 0), lumps=0.08, index=index)
    return root, head, legs, tail


def walk(toy, frames, path, heading, phase=0.0, stride=9.0):
    """Keyframes: `path(t)` gives x, y and `heading(t)` radians for t in 0..1; legs swing, head nods, tail wags."""
    root, head, legs, tail = toy
    for frame in range(-1, frames + 2):
        t = frame / max(1, frames - 1)
        swing = math.sin(stride * 2 * math.pi * t / 2 + phase)
        x, y = path(t)
        root.location = x, y, 0.03 * abs(swing) + ground_height(x, y)
        root.rotation_euler = 0.03 * swing, 0, heading(t)
        head.rotation_euler = 0.1 * math.sin(7 * t + phase), 0.18 * math.sin(9 * t + phase), 0.5 * math.sin(5 * t + phase)
        tail.rotation_euler = 0.7 * math.sin(30 * t + phase), 0, 0
        root.keyframe_insert("location", frame=frame)
        for thing in (root, head, tail):
            thing.keyframe_insert("rotation_euler", frame=frame)
        for number, leg in enumerate(legs):
            leg.rotation_euler = 0, 0.5 * swing * (1 if number in (0, 3) else -1), 0
            leg.keyframe_insert("rotation_euler", frame=frame)


# --- surroundings

def ground_height(x, y):
    """Metres above zero: a gently uneven meadow."""
    return 0.07 * noise.noise(Vector((0.5 * x, 0.5 * y, 0.0))) + 0.015 * noise.noise(Vector((3 * x, 3 * y, 1.0)))


def meadow(rng):
    """Uneven ground, grass in tufts, pebbles, flowers, bushes and a fence behind; a low sun in a clear sky."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=200, y_subdivisions=200, size=16, location=(0, 3, 0))
    ground = bpy.context.object
    for vertex in ground.data.vertices:
        vertex.co.z = ground_height(vertex.co.x, vertex.co.y + 3)
    bpy.ops.object.shade_smooth()
    ground.data.materials.append(material("ground", (0.10, 0.075, 0.03), (0.10, 0.15, 0.03), "soil", 1.3, 0.6))

    def instance(mesh, x, y, size, turn, z=0.0):
        thing = bpy.data.objects.new(mesh.name, mesh)
        thing.location = x, y, ground_height(x, y) + z
        thing.rotation_euler, thing.scale = (rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), turn), size
        bpy.context.collection.objects.link(thing)

    grass = [material(f"grass {i}", (0.05, 0.12 + 0.03 * i, 0.02), (0.15, 0.22, 0.05), "fur", 3) for i in range(2)]
    tufts = []
    for kind in range(5):
        corners, faces = [], []
        for _ in range(28):
            turn, lean, tall = rng.uniform(0, 6.3), rng.uniform(0.1, 0.7), rng.uniform(0.07, 0.17)
            x, y, wide = rng.gauss(0, 0.06), rng.gauss(0, 0.06), rng.uniform(0.004, 0.008)
            side, out = (-math.sin(turn) * wide, math.cos(turn) * wide), (math.cos(turn), math.sin(turn))
            for step in range(4):
                f = step / 3
                cx, cy, cz = x + out[0] * lean * tall * f * f, y + out[1] * lean * tall * f * f, tall * f
                narrow = 1 - 0.9 * f
                dx, dy = side[0] * narrow, side[1] * narrow
                corners += [(cx - dx, cy - dy, cz), (cx + dx, cy + dy, cz)]
                if step:
                    n = len(corners)
                    faces.append((n - 4, n - 3, n - 1, n - 2))
        mesh = bpy.data.meshes.new(f"tuft {kind}")
        mesh.from_pydata(corners, [], faces)
        mesh.materials.append(grass[kind % 2])
        tufts.append(mesh)
    for _ in range(5200):
        x, y = rng.uniform(-5, 5), rng.uniform(-2.2, 8)
        if noise.noise(Vector((0.8 * x, 0.8 * y, 5))) > -0.15:
            s = rng.uniform(0.5, 1.0)
            instance(rng.choice(tufts), x, y, (s, s, s), rng.uniform(0, 6.3))

    def template(mat, lumps, seed):
        thing = blob(None, mat, (seed, 0, 0), (1, 1, 1), lumps=lumps)
        mesh = thing.data
        bpy.data.objects.remove(thing)
        return mesh

    stones = [template(material(f"stone {i}", (0.2, 0.18, 0.16), (0.45, 0.42, 0.38), "soil", 4), 0.35, i) for i in range(3)]
    for _ in range(160):
        s = rng.uniform(0.015, 0.06)
        instance(rng.choice(stones), rng.uniform(-4, 4), rng.uniform(-2, 6), (s, s, 0.6 * s), rng.uniform(0, 6.3))
    leaves = [template(material(f"leaves {i}", (0.02, 0.07, 0.02), (0.12, 0.2, 0.05), "fur", 9, 1.0), 0.5, i + 7)
              for i in range(3)]
    for i in range(26):
        s = rng.uniform(0.5, 1.1)
        instance(rng.choice(leaves), -8 + 0.65 * i, rng.uniform(6.5, 7.5), (s, s, 1.2 * s), rng.uniform(0, 6.3), 0.3)
    petals = [template(material(f"petal {c}", c, tuple(0.7 * v for v in c), "fur", 3), 0.2, 20)
              for c in ((0.8, 0.7, 0.05), (0.8, 0.8, 0.8), (0.5, 0.1, 0.5))]
    for _ in range(170):
        instance(rng.choice(petals), rng.uniform(-5, 5), rng.uniform(0, 6), (0.028, 0.028, 0.018), 0, rng.uniform(0.1, 0.17))
    planks = material("planks", (0.16, 0.09, 0.05), (0.33, 0.22, 0.13), "wood", 2.5, 0.4)
    for i in range(40):
        bpy.ops.mesh.primitive_cube_add(size=1)
        plank = bpy.context.object
        plank.scale, plank.location = (0.17, 0.03, 0.9 + 0.06 * rng.random()), (-5 + 0.25 * i, 5.4, 0.45)
        plank.rotation_euler = 0, rng.gauss(0, 0.02), 0
        bevel = plank.modifiers.new("bevel", "BEVEL")
        bevel.width = 0.02
        plank.data.materials.append(planks)


def light_and_camera(frames, target):
    """Sky and sun; a hand-held camera that follows `target(t)` with a little sway."""
    world = bpy.context.scene.world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    sky = world.node_tree.nodes.new("ShaderNodeTexSky")
    sky.sky_type, sky.sun_elevation, sky.sun_rotation = "NISHITA", math.radians(32), math.radians(200)
    world.node_tree.links.new(sky.outputs["Color"], world.node_tree.nodes["Background"].inputs["Color"])
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.085
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    camera.data.lens = 42
    camera.data.dof.use_dof, camera.data.dof.aperture_fstop = True, 4.0
    for frame in range(-1, frames + 2):
        t = frame / max(1, frames - 1)
        x, y = target(t)
        at = Vector((0.6 * x, y, 0.48))
        camera.location = 0.35 * x + 0.05 * math.sin(8 * t), -3.9 + 0.04 * math.sin(11 * t), 1.35 + 0.03 * math.sin(9 * t + 1)
        camera.rotation_euler = (at - camera.location).to_track_quat("-Z", "Y").to_euler()
        camera.data.dof.focus_distance = (at - camera.location).length
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
        camera.data.dof.keyframe_insert("focus_distance", frame=frame)


# --- scenes

def two_dogs(frames):
    """A brown toy dog in a striped shirt turns as it walks; a grey one crosses behind it."""
    rng = random.Random(11)
    meadow(rng)
    tan, cream = (0.32, 0.16, 0.06), (0.75, 0.6, 0.42)
    first = toy_dog("dog", 1, material("coat", tan, (0.45, 0.26, 0.11), "fur", 9, 0.5),
                    material("trim", cream, (0.6, 0.45, 0.3), "fur", 9, 0.5),
                    material("shirt", (0.65, 0.04, 0.04), (0.85, 0.8, 0.7), "stripes", 3.2, 0.3))
    second = toy_dog("other", 0, material("coat2", (0.2, 0.2, 0.21), (0.38, 0.37, 0.36), "fur", 9, 0.5),
                     material("trim2", (0.65, 0.63, 0.6), (0.45, 0.44, 0.42), "fur", 9, 0.5),
                     material("shirt2", (0.03, 0.1, 0.4), (0.7, 0.7, 0.6), "checks", 9, 0.3))
    walk(first, frames, lambda t: (-0.9 + 1.6 * t, 0.1 + 0.35 * math.sin(3 * t)), lambda t: 0.5 - 2.3 * t * t)
    walk(second, frames, lambda t: (1.9 - 3.6 * t, 1.35 + 0.1 * t), lambda t: math.pi - 0.15, 1.0, 12)
    light_and_camera(frames, lambda t: (-0.5 + 1.0 * t, 0.3))


SCENES = {
    "two-dogs": (two_dogs, {
        "title": "Two toy dogs", "frames": 32, "objects": {"1": "brown dog in a striped shirt"},
        "watch": "The brown dog turns away while a grey dog, alike in shape, passes behind it: does the score map "
                 "follow appearance or shape?",
    }),
}


# --- rendering

def prepare(frames, width, samples):
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 0, frames - 1
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.render.resolution_x, scene.render.resolution_y = width, round(width * HEIGHT / WIDTH / 2) * 2
    scene.render.resolution_percentage = 100
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.denoiser = samples, True, "OPENIMAGEDENOISE"
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 3, 2, 1
    scene.cycles.use_adaptive_sampling = True
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.motion_blur_shutter, scene.render.motion_blur_position = 0.4, "CENTER"
    flat = bpy.data.materials.new("ids")
    flat.use_nodes = True
    nodes, links = flat.node_tree.nodes, flat.node_tree.links
    nodes.clear()
    info, scale, light, out = (nodes.new(f"ShaderNode{n}") for n in ("ObjectInfo", "Math", "Emission", "OutputMaterial"))
    scale.operation, scale.inputs[1].default_value = "MULTIPLY", ID_STEP / 255
    links.new(info.outputs["Object Index"], scale.inputs[0])
    links.new(scale.outputs[0], light.inputs["Color"])
    links.new(light.outputs[0], out.inputs["Surface"])
    return flat


def render_frame(path, number, flat=None):
    """One picture; with `flat`, the ids."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    ids = flat is not None
    layer.material_override = flat
    background = scene.world.node_tree.nodes["Background"].inputs["Strength"]
    strength, samples, filter_width = background.default_value, scene.cycles.samples, scene.cycles.filter_width
    scene.view_settings.view_transform = "Raw" if ids else "AgX"
    scene.render.use_motion_blur = not ids
    scene.camera.data.dof.use_dof = not ids
    scene.cycles.use_denoising = not ids
    if ids:
        background.default_value, scene.cycles.samples, scene.cycles.filter_width = 0, 1, 0.01
    scene.frame_set(number)
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    background.default_value, scene.cycles.samples, scene.cycles.filter_width = strength, samples, filter_width


def palette():
    index, colours = np.arange(256), np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for k in range(3):
            colours[:, channel] |= (((index >> (3 * k + channel)) & 1) << (7 - k)).astype(np.uint8)
    return colours.tobytes()


def render_scene(name, out, frames, width, samples):
    build, notes = SCENES[name]
    frames = frames or notes["frames"]
    images, masks = out / "JPEGImages" / "480p" / name, out / "Annotations" / "480p" / name
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    build(frames)
    flat = prepare(frames, width, samples)
    for pass_, folder, suffix in (("ids", masks, ".png"), ("frames", images, ".jpg")):
        for number in range(frames):
            final = folder / f"{number:05d}{suffix}"
            if final.exists():
                continue
            with tempfile.TemporaryDirectory() as scratch:
                raw = Path(scratch) / "frame.png"
                render_frame(raw, number, flat if pass_ == "ids" else None)
                picture = cv2.imread(str(raw), cv2.IMREAD_COLOR)
            temporary = folder / f".{number:05d}{suffix}"
            if pass_ == "ids":
                labels = Image.fromarray(np.round(picture[..., 0] / ID_STEP).astype(np.uint8), mode="P")
                labels.putpalette(palette())
                labels.save(temporary)
            else:
                cv2.imwrite(str(temporary), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
            temporary.rename(final)
            print(f"{name}: {pass_} {number + 1}/{frames}", flush=True)
    areas = {i: [] for i in notes["objects"]}
    for number in range(frames):
        labels = np.asarray(Image.open(masks / f"{number:05d}.png"))
        for i in areas:
            areas[i].append(int((labels == int(i)).sum()))
    return {**notes, "frames": frames, "fps": 24, "areas": areas, "labels": "at the middle of the shutter's opening"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scene", action="append", choices=sorted(SCENES), help="only these; may be repeated")
    parser.add_argument("--frames", type=int, help="fewer or more than the scene's own number")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--samples", type=int, default=16, help="light paths a pixel")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "scenes")
    args = parser.parse_args()
    notes_path = args.out / "scenes.json"
    notes = json.loads(notes_path.read_text())["scenes"] if notes_path.exists() else {}
    for name in args.scene or SCENES:
        notes[name] = render_scene(name, args.out, args.frames, args.width, args.samples)
    notes_path.write_text(json.dumps({"licence": "CC0-1.0", "scenes": notes}, indent=1) + "\n")
    lists = args.out / "ImageSets" / "2017"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in notes))


if __name__ == "__main__":
    main()
