"""Renders the bundled teaching scenes with Blender's Python module: frames, exact masks, scenes.json, contact sheets.

    pip install "bpy==4.5.*" numpy opencv-python pillow       # a virtual environment of its own, Python 3.11
    python data/render_scenes.py [--scene NAME ...] [--frames N] [--width W] [--samples N] [--out DIR]
    python data/render_scenes.py --random 20 --seed 7 --out /tmp/training    # many small scenes to train on

Everything follows from seeds. A frame that exists is not rendered again, so a run that was cut off is started again.
Masks come from a second pass: object ids as flat light, one ray through the centre of each pixel, nothing blended,
without depth of field, in the middle of the time for which the shutter is open. Where motion blurs an edge, the label
is therefore where the object is half way through the blur. Scenes with fur or grass (`soft`) give each pixel the
commonest id among the 3 x 3 rays around it, since a single ray hits or misses a single hair.
"""

import argparse
import json
import os
import sys
from pathlib import Path

BUNDLED = Path(__file__).resolve().parent / "scenes"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog="Frames that exist are kept.")
    parser.add_argument("--scene", nargs="+", default=[], metavar="NAME", help="only these; all where left out")
    parser.add_argument("--frames", type=int, help="how many, if not the scene's own number")
    parser.add_argument("--width", type=int, help="of the frames in pixels: 854, with --random 427")
    parser.add_argument("--samples", type=int, help="light paths a pixel: 4 (then denoised), more for a cleaner picture")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="default: %(default)s")
    parser.add_argument("--sheets", type=Path, help="folder of the contact sheets, e.g. docs/scenes; none where left out")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N random small scenes in place of the bundled ones")
    parser.add_argument("--seed", type=int, default=0, help="of --random")
    parser.add_argument("--only", type=int, nargs="+", metavar="FRAME", help="these frames alone (previews): no scenes.json")
    parser.add_argument("--list", action="store_true", help="the scenes by name, then stop")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.list:  # what is bundled is what can be rendered, and needs no Blender to be listed
        notes = json.loads((BUNDLED / "scenes.json").read_text(encoding="utf-8"))["scenes"]
        print("\n".join(f"{name:14} {note['title']}" for name, note in notes.items()))
        return
    try:
        import bpy  # noqa: F401
    except ImportError:
        sys.exit(
            "render_scenes: Blender's Python module is missing. Install it in a Python 3.11 environment:\n"
            '    python3.11 -m venv blender && blender/bin/pip install "bpy==4.5.*" numpy opencv-python pillow\n'
            "    blender/bin/python data/render_scenes.py\n"
            "On a bare Linux it also wants libxi6 libxxf86vm1 libxfixes3 libxrender1 libsm6 libgl1 libxkbcommon0."
        )
    from rendering import output, random_scenes, scenes

    if args.random:
        chosen = {f"r{args.seed:03d}-{k:04d}": random_scenes.random_scene(args.seed, k) for k in range(args.random)}
        width, samples, bounces = args.width or 427, args.samples or 4, 1
        if args.out == BUNDLED:
            sys.exit("render_scenes: --random needs --out: a folder of its own, outside the bundled scenes")
    else:
        unknown = [name for name in args.scene if name not in scenes.SCENES]
        if unknown:
            sys.exit(f"render_scenes: no scene '{unknown[0]}': choose of {', '.join(scenes.SCENES)}")
        chosen = {name: scenes.SCENES[name] for name in args.scene or scenes.SCENES}
        width, samples, bounces = args.width or 854, args.samples or 4, 2
    for name, scene in chosen.items():
        frames = args.frames or scene.frames
        output.render(name, scene, args.out, frames, width, samples, bounces, args.only)
        if not args.only:
            output.describe(name, scene, args.out, frames)
            if args.sheets:
                output.contact_sheet(name, args.out, args.sheets)
    sys.stdout.flush()
    os._exit(0)  # Blender's own shutdown is slow and adds nothing


if __name__ == "__main__":
    main()
