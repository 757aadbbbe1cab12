"""Masks as annotation tools write them: labelme's and COCO's JSON, polygons and run lengths; and COCO's for results."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .labels import filled
from .whole import read_json, write_json

TRACKS = ("track_id", "instance_id", "object_id")
"""Where annotations of a video say which object they show, in themselves or below `attributes`."""


class Annotated(NamedTuple):
    """The objects of one picture."""

    picture: str
    """Its file, as the annotations name it; "" where they do not."""
    ids: np.ndarray
    """uint8 (H, W)."""
    names: dict[int, str]
    """By id, where objects have names."""


def read_annotations(path: Path, size: tuple[int, int], keys: dict[object, int]) -> list[Annotated]:
    """The masks in a JSON file of labelme or of COCO.

    Args:
        path: of the file.
        size: (H, W) of the frames.
        keys: what the file calls an object -> id; new objects are added, so that they keep their ids in the next file.

    Raises:
        InputError: neither of both, damaged, of another size, or it does not say which objects of two pictures are one.
    """
    content = read_json(path)
    try:
        if isinstance(content.get("shapes"), list):
            return [_labelme(content, path, size, keys)]
        if isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list):
            return _coco(content, path, size, keys)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:60]}"
        raise InputError(f"the annotations {path} are damaged ({reason}): export them again") from None
    raise InputError(f"{path} is neither labelme's JSON (with 'shapes') nor COCO's (with 'images' and 'annotations'): export "
                     "one of these, or a PNG")


def _refuse_size(path: Path, said: tuple[object, object], size: tuple[int, int]) -> None:
    if tuple(said) != tuple(size):
        raise InputError(f"the annotations {path} are of a picture of {said[1]}x{said[0]}, the frames have "
                         f"{size[1]}x{size[0]}: annotate frames of this size")


def _id(key: object, keys: dict[object, int]) -> int:
    """The id of an object: its own number where that is one from 1 to 255, else the next that is free."""
    if key not in keys:
        number = key if isinstance(key, int) else int(key) if isinstance(key, str) and key.isdecimal() else 0
        taken = set(keys.values())
        keys[key] = number if 0 < number < 256 and number not in taken else next(i for i in range(1, 257) if i not in taken)
        if keys[key] > 255:
            raise ValueError("more than 255 objects")
    return keys[key]


def _labelme(content: dict, path: Path, size: tuple[int, int], keys: dict[object, int]) -> Annotated:
    """Shapes of one label, and one group where it has groups, are one object; later shapes cover earlier ones."""
    _refuse_size(path, (content["imageHeight"], content["imageWidth"]), size)
    ids, names = np.zeros(size, np.uint8), {}
    for shape in content["shapes"]:
        label, group = str(shape["label"]), shape.get("group_id")
        number = _id(label if group is None else f"{label} {group}", keys)
        points = np.asarray(shape["points"], float).reshape(-1, 2)
        kind = shape.get("shape_type") or "polygon"
        if kind == "rectangle":
            (left, top), (right, bottom) = points[:2]
            points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        elif kind == "circle":
            angle = np.linspace(0, 2 * np.pi, 181)[:-1, None]
            points = points[0] + np.linalg.norm(points[1] - points[0]) * np.hstack([np.cos(angle), np.sin(angle)])
        elif kind != "polygon":
            raise InputError(f"the annotations {path} hold a shape '{kind}', which has no area: draw polygons, rectangles or "
                             "circles")
        if len(points) < 3:
            raise ValueError("a polygon of fewer than three corners")
        ids[filled(size, points)] = number
        names[number] = label
    return Annotated(str(content.get("imagePath") or ""), ids, names)


def _coco(content: dict, path: Path, size: tuple[int, int], keys: dict[object, int]) -> list[Annotated]:
    """Annotations of one picture are an object each. In several pictures those of one track are one object; where there are no
    tracks, those of one category, if no picture has two."""
    annotations = [a for a in content["annotations"] if not a.get("iscrowd") or "counts" in a["segmentation"]]
    tracks = [_track(a) for a in annotations]
    categories = {c["id"]: str(c["name"]) for c in content.get("categories", [])}
    pictures = [image for image in content["images"] if any(a["image_id"] == image["id"] for a in annotations)]
    pairs = [(a["image_id"], a["category_id"]) for a in annotations]
    if len(pictures) > 1 and None in tracks and len(set(pairs)) < len(pairs):
        raise InputError(f"the annotations {path} are of {len(pictures)} pictures and do not say which objects are the same: "
                         "give each annotation a track_id")
    found = []
    for image in pictures:
        _refuse_size(path, (image["height"], image["width"]), size)
        ids, names, n = np.zeros(size, np.uint8), {}, 0
        for annotation, track in zip(annotations, tracks, strict=True):
            if annotation["image_id"] != image["id"]:
                continue
            n += 1
            key = track if track is not None else n if len(pictures) == 1 else ("category", annotation["category_id"])
            number = _id(key, keys)
            ids[_segmentation(annotation["segmentation"], size)] = number
            if annotation["category_id"] in categories:
                names[number] = categories[annotation["category_id"]]
        found.append(Annotated(str(image.get("file_name", "")), ids, names))
    if not found:
        raise InputError(f"the annotations {path} show no object: annotate one")
    return found


def _track(annotation: dict) -> object:
    """What says which object an annotation shows, or None."""
    for place in (annotation, annotation.get("attributes") or {}):
        for name in TRACKS:
            if place.get(name) is not None:
                return place[name]
    return None


def _segmentation(segmentation: list | dict, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W) of polygons, or of run lengths down the columns, as numbers or as COCO packs them into text."""
    if isinstance(segmentation, list):
        found = np.zeros(size, bool)
        for corners in segmentation:
            found |= filled(size, np.asarray(corners, float).reshape(-1, 2))
        return found
    if tuple(segmentation["size"]) != tuple(size):
        raise ValueError(f"run lengths of a picture of {segmentation['size']}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        return packed_lengths().decode({"size": list(size), "counts": counts.encode()}).astype(bool)
    if sum(counts) != size[0] * size[1] or min(counts) < 0:
        raise ValueError("run lengths that do not fill the picture")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size[::-1]).T


def packed_lengths() -> ModuleType:
    """pycocotools' run lengths.

    Raises:
        InputError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError:
        raise InputError('COCO\'s packed run lengths need pycocotools: pip install "vosedu[coco]"') from None
    return mask


def write_coco(path: Path, size: tuple[int, int], masks: Iterable[tuple[str, np.ndarray]],
               names: Mapping[int, str] | None = None) -> None:
    """Write masks as COCO's JSON: an image per frame, an annotation with packed run lengths and its track_id per object and
    frame.

    Args:
        path: of the file, written whole or not at all.
        size: (H, W).
        masks: (frame name, ids) in their order.
        names: of objects, by id.
    """
    rle, images, annotations, known = packed_lengths(), [], [], set()
    for index, (name, ids) in enumerate(masks, 1):
        images.append({"id": index, "file_name": name, "height": size[0], "width": size[1]})
        for i in np.unique(ids[ids > 0]).tolist():
            packed = rle.encode(np.asfortranarray((ids == i).astype(np.uint8)))
            annotations.append({
                "id": len(annotations) + 1, "image_id": index, "category_id": i, "track_id": i, "iscrowd": 0,
                "segmentation": {"size": list(size), "counts": packed["counts"].decode()}, "area": int(rle.area(packed)),
                "bbox": rle.toBbox(packed).tolist(),
            })
            known.add(i)
    categories = [{"id": i, "name": (names or {}).get(i, f"object {i}")} for i in sorted(known)]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories})
