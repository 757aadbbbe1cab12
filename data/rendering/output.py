"""From a built scene to files: the picture pass, the mask pass, scenes.json, lists and contact sheets."""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

import bpy
import cv2
import numpy as np
from PIL import Image

ID_STEP = 20  # grey levels between object ids in the mask pass: at most 12 objects
NOTES = {
    "licence": "CC0-1.0",
    "made": "rendered by data/render_scenes.py with Blender's Cycles; no third-party asset is used",
    "labels": "Object ids in the middle of the time for which the shutter is open, by one ray through each pixel's "
    "centre, without antialiasing or depth of field: where motion blurs an edge, the label is where the "
    "object is half way through the blur. In scenes marked soft (fur, grass) a pixel's label is the "
    "commonest among the 3 x 3 rays around it.",
}


@contextlib.contextmanager
def quiet():
    """Keeps Blender's own chatter off the terminal."""
    saved, sink = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(sink)


def prepare(frames: int, width: int, samples: int, bounces: int, shutter: float, exposure: float) -> None:
    """Settings that both passes share."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 0, frames - 1
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.render.resolution_x, scene.render.resolution_y = width, round(width * 480 / 854 / 2) * 2
    scene.render.resolution_percentage = 100
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format, scene.render.image_settings.compression = "PNG", 5
    scene.render.motion_blur_shutter, scene.render.motion_blur_position = shutter, "CENTER"
    scene.render.dither_intensity = 0
    cycles = scene.cycles
    cycles.samples, cycles.use_denoising, cycles.denoiser = samples, True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    cycles.use_adaptive_sampling = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = bounces, 1, bounces
    cycles.transmission_bounces, cycles.transparent_max_bounces = 1, 2
    cycles.use_light_tree = False
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = exposure


def flat_ids() -> bpy.types.Material:
    """The material of the mask pass: light of ID_STEP grey levels an object id."""
    flat = bpy.data.materials.new("ids")
    flat.use_nodes = True
    nodes, links = flat.node_tree.nodes, flat.node_tree.links
    nodes.clear()
    info, scale, glow, end = (nodes.new(f"ShaderNode{n}") for n in ("ObjectInfo", "Math", "Emission", "OutputMaterial"))
    scale.operation, scale.inputs[1].default_value = "MULTIPLY", ID_STEP / 255
    links.new(info.outputs["Object Index"], scale.inputs[0])
    links.new(scale.outputs[0], glow.inputs["Color"])
    links.new(glow.outputs[0], end.inputs["Surface"])
    return flat


def mask_pass() -> None:
    """Turns the scene into one that shows ids: from here on no picture can be rendered."""
    scene = bpy.context.scene
    bpy.context.view_layer.material_override = flat_ids()
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0
    for link in list(scene.world.node_tree.links):
        scene.world.node_tree.links.remove(link)
    for thing in scene.objects:
        if thing.type == "LIGHT":
            thing.hide_render = True
    scene.view_settings.view_transform, scene.view_settings.look, scene.view_settings.exposure = "Raw", "None", 0
    scene.render.use_motion_blur = scene.camera.data.dof.use_dof = scene.cycles.use_denoising = False
    scene.cycles.samples, scene.cycles.filter_width, scene.cycles.max_bounces = 1, 0.01, 0


def picture_pass() -> None:
    scene = bpy.context.scene
    scene.view_settings.view_transform = "AgX"
    scene.render.use_motion_blur = True


def shoot(number: int) -> np.ndarray:
    """Renders one frame, (H, W, 3) BGR."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "frame.png"
        bpy.context.scene.render.filepath = str(path)
        with quiet():
            bpy.context.scene.frame_set(number)
            bpy.ops.render.render(write_still=True)
        return cv2.imread(str(path), cv2.IMREAD_COLOR)


def commonest(labels: np.ndarray) -> np.ndarray:
    """The id that most of the 3 x 3 rays around each pixel meet; the pixel's own ray wins a tie."""
    ids = np.unique(labels)
    votes = np.stack(
        [cv2.boxFilter((labels == i).astype(np.float32), -1, (3, 3), normalize=False) + 0.5 * (labels == i) for i in ids]
    )
    return ids[votes.argmax(0)].astype(np.uint8)


def palette() -> bytes:
    """The colours that DAVIS gives to object ids: the bits of the id spread over red, green and blue."""
    index, colours = np.arange(256), np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for k in range(3):
            colours[:, channel] |= (((index >> (3 * k + channel)) & 1) << (7 - k)).astype(np.uint8)
    return colours.tobytes()


def folders(name: str, out: Path) -> tuple[Path, Path]:
    """Folders of a scene's frames and masks."""
    return out / "JPEGImages" / "480p" / name, out / "Annotations" / "480p" / name


def render(
    name: str,
    scene,
    out: Path,
    frames: int,
    width: int,
    samples: int,
    bounces: int = 2,
    only: list[int] | None = None,
    quality: int = 72,
) -> None:
    """Renders what is missing of a scene."""
    pictures, masks = folders(name, out)
    numbers = only or range(frames)
    built = False
    for masking, folder, suffix in ((False, pictures, ".jpg"), (True, masks, ".png")):
        missing = [n for n in numbers if not (folder / f"{n:05d}{suffix}").exists()]
        if not missing:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        if not built:
            start, built = time.time(), True
            with quiet():
                bpy.ops.wm.read_factory_settings(use_empty=True)
                bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
                scene.build(frames)
                prepare(frames, width, samples, bounces, scene.shutter, scene.exposure)
            print(f"{name}: built in {time.time() - start:.0f} s", flush=True)
        (mask_pass if masking else picture_pass)()
        for number in missing:
            start = time.time()
            picture = shoot(number)
            temporary = folder / f"part{os.getpid()}{suffix}"
            if masking:
                labels = np.round(picture[..., 0] / ID_STEP).astype(np.uint8)
                if not np.isin(labels, [0, *scene.objects]).all():
                    raise SystemExit(f"{name}: frame {number} shows an id that the scene does not declare")
                image = Image.fromarray(commonest(labels) if scene.soft else labels, mode="P")
                image.putpalette(palette())
                image.save(temporary, optimize=True)
            else:
                cv2.imwrite(
                    str(temporary),
                    picture,
                    [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
                )
            temporary.rename(folder / f"{number:05d}{suffix}")
            kind = "mask" if masking else "frame"
            print(f"{name}: {kind} {number + 1}/{frames} in {time.time() - start:.1f} s", flush=True)


def given(areas: list[int]) -> int:
    """The frame in which an object's mask is given: the first, or for a late one where half of its usual area shows."""
    return next(k for k, area in enumerate(areas) if area and (k == 0 or 2 * area >= np.median([a for a in areas if a])))


def describe(name: str, scene, out: Path, frames: int) -> None:
    """Writes a complete scene into scenes.json and the lists in ImageSets."""
    pictures, masks = folders(name, out)
    if any(
        not (folder / f"{n:05d}{suffix}").exists()
        for n in range(frames)
        for folder, suffix in ((pictures, ".jpg"), (masks, ".png"))
    ):
        return
    areas = {i: [] for i in scene.objects}
    for number in range(frames):
        labels = np.asarray(Image.open(masks / f"{number:05d}.png"))
        for i in areas:
            areas[i].append(int((labels == i).sum()))
    path = out / "scenes.json"
    notes = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries = notes.get("scenes", {})
    entries[name] = {
        "title": scene.title,
        "watch": scene.watch,
        "frames": frames,
        "fps": scene.fps,
        "shutter": scene.shutter,
        "soft": scene.soft,
        "objects": {str(i): text for i, text in scene.objects.items()},
        "given": {str(i): given(values) for i, values in areas.items()},
        "areas": {str(i): values for i, values in areas.items()},
    }
    entries = {key: entries[key] for key in sorted(entries)}
    text = json.dumps({**NOTES, "scenes": entries}, indent=1)
    path.write_text(compact(text) + "\n", encoding="utf-8")
    for year, keep in (("2016", lambda e: len(e["objects"]) == 1), ("2017", lambda e: True)):
        listed = out / "ImageSets" / year / "val.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text("".join(f"{key}\n" for key, entry in entries.items() if keep(entry)), encoding="utf-8")


def compact(text: str) -> str:
    """Puts lists of numbers on one line each."""
    lines, inside = [], False
    for line in text.split("\n"):
        if inside:
            lines[-1] += line.strip() + (" " if line.endswith(",") else "")
            inside = not line.strip().startswith("]")
        else:
            lines.append(line)
            inside = line.endswith("[")
    return "\n".join(lines)


def outlined(picture: np.ndarray, labels: np.ndarray, thick: int = 2) -> np.ndarray:
    """The picture with each object's outline in its palette colour."""
    picture, colours = picture.copy(), np.frombuffer(palette(), np.uint8).reshape(256, 3)
    for i in np.unique(labels[labels > 0]):
        edges = cv2.findContours((labels == i).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(picture, edges, -1, (255, 255, 255), thick + 1, cv2.LINE_AA)
        cv2.drawContours(picture, edges, -1, tuple(int(c) for c in colours[i][::-1]), thick, cv2.LINE_AA)
    return picture


def contact_sheet(name: str, out: Path, sheets: Path, columns: int = 5, width: int = 400) -> None:
    """Five frames with mask outlines in a row, as docs/scenes/<name>.png."""
    pictures, masks = folders(name, out)
    paths = sorted(pictures.glob("*.jpg"))
    cells = []
    for k in np.linspace(0, len(paths) - 1, columns).round().astype(int):
        picture = cv2.imread(str(paths[k]))
        picture = outlined(picture, np.asarray(Image.open(masks / f"{paths[k].stem}.png")))
        cell = cv2.resize(picture, (width, round(width * picture.shape[0] / picture.shape[1])), interpolation=cv2.INTER_AREA)
        cells.append(cv2.copyMakeBorder(cell, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    sheets.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(cv2.cvtColor(np.hstack(cells), cv2.COLOR_BGR2RGB))
    image.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(
        sheets / f"{name}.png", optimize=True
    )
