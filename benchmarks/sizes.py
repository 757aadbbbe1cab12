"""How large should the engine see a small video? J&F of bundled scenes, shrunk, by the short side that is worked on.

    python benchmarks/sizes.py [--scenes huddle tumble late] [--heights 96 180 240 480] [--short-sides 0 240 360 480]

Every second frame of each scene is shrunk to so many rows; the objects of its first frame are scored at that size.
`portrait` is the middle of a scene at its full 480 rows, cut to 9:16 as a telephone held upright would film it. Short side 0
is the video as it is.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from vosedu import Segmenter
from vosedu.evaluation.metrics import report
from vosedu.evaluation.scoring import run_sequence
from vosedu.files import datasets
from vosedu.files.images import image_files, read_image, to_size, write_mask


def shrunk(scene: datasets.AnnotatedVideo, size: tuple[int, int], cut: slice, folder: Path) -> datasets.AnnotatedVideo:
    """Every second frame of a scene at `size` (H, W), columns `cut` alone."""
    frames, masks = folder / "frames", folder / "masks"
    frames.mkdir(parents=True)
    masks.mkdir()
    for k, path in enumerate(image_files(scene.frames)[::2]):
        small = cv2.resize(read_image(path)[:, cut], size[::-1], interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(frames / f"{k:05d}.png"), small[..., ::-1])
        write_mask(masks / f"{k:05d}.png", to_size(scene.labels(2 * k)[:, cut], size))
    return datasets.AnnotatedVideo(scene.name, frames, masks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", nargs="+", default=["huddle", "tumble", "late"])
    parser.add_argument("--heights", type=int, nargs="+", default=[96, 180, 240, 480], help="rows of the shrunk videos")
    parser.add_argument("--short-sides", type=int, nargs="+", default=[0, 240, 360, 480])
    args = parser.parse_args()
    segmenter = Segmenter.from_pretrained()
    print(f"{'video':<12}" + "".join(f"{side or 'as is':>9}" for side in args.short_sides))
    with tempfile.TemporaryDirectory() as home:
        for rows in [*args.heights, "portrait"]:
            found = []
            for name in args.scenes:
                scene = datasets.scene(name)
                height, width = scene.labels(0).shape
                if rows == "portrait":
                    middle = (width - height * 9 // 16) // 2
                    size, cut = (height, height * 9 // 16), slice(middle, middle + height * 9 // 16)
                else:
                    size, cut = (rows, round(width * rows / height)), slice(None)
                video = shrunk(scene, size, cut, Path(home) / f"{name}-{rows}")
                engines = [segmenter.changed(short_side=side) for side in args.short_sides]
                scores = [{name: run_sequence(engine, video)[0]} for engine in engines]
                found.append([report(s, {name: len(video.frame_names)})["JF_mean"] for s in scores])
            print(f"{rows:<12}" + "".join(f"{value:9.3f}" for value in np.mean(found, axis=0)), flush=True)


if __name__ == "__main__":
    main()
