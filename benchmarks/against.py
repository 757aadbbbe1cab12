"""Frames and first pictures of this tree against an older commit: in turn, in one run, alone and beside busy processes.

    python -m benchmarks.against 7429c9b [--rows 240 360 480] [--objects 1 4 8] [--busy 0 2] [--json FILE]

The old tree is checked out beside this one for the time of the run. Each has a process of its own, which waits while the others
compute; all see the same frames, at the size that is asked for, with `objects` disks as the first mask. `old` is the old tree's
default, `whole` this tree with the preset WHOLE, which does what that default did, `best` this tree's default, which also has a
window for every object, and `view` that default with one view of the whole frame for all (`--window-zoom 1`); all with the
precision that the commands choose. Busy processes are loops on one core each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKER = """
import sys, json, time
from dataclasses import replace
try:
    from vosedu.beyond.waiting import wait_quietly
    wait_quietly()  # as the commands do
except ImportError:
    pass
import cv2, numpy as np, torch
import vosedu
name, frames = sys.argv[1], [cv2.imread(path)[..., ::-1] for path in sys.argv[2:]]
new = hasattr(vosedu, "WHOLE")
options = {"precision": "auto"} if new else {}
config = vosedu.WHOLE if name == "whole" else replace(vosedu.BEST, window_zoom=1.0) if name == "view" else vosedu.BEST
segmenter = vosedu.Segmenter.from_pretrained("compact", config=config, **options)
videos = {}
for line in sys.stdin:
    rows, objects, count = json.loads(line)
    size = rows, round(rows * 854 / 480)
    shown = [np.ascontiguousarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)) for frame in frames]
    mask = np.zeros(size, np.uint8)
    for n in range(objects):
        cv2.circle(mask, (round((n + 0.5) * size[1] / objects), size[0] // 2), max(6, size[1] // (3 * objects)), n + 1, -1)
    key, taken = (rows, objects), []
    if key not in videos:
        videos.clear()
        began = time.perf_counter()
        video = segmenter.start(shown[0], mask)
        video.step(shown[1]).cpu()
        videos[key] = video, time.perf_counter() - began
        for k in range(4):
            video.step(shown[k]).cpu()
    video, first = videos[key]
    for k in range(count):
        began = time.perf_counter()
        video.step(shown[k % len(shown)]).cpu()
        taken.append(time.perf_counter() - began)
    print(json.dumps([first, sum(taken) / count]), flush=True)
"""
"""Uses what both trees have."""
LOOP = "while True: pass"
TURNS, FRAMES = 3, 8
"""How often each tree has its turn, and how many frames are timed at a stretch (an update is among them)."""


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The tree of a commit, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


@contextmanager
def process(code: str, tree: Path, *words: str) -> Iterator[subprocess.Popen]:
    """Python in a tree, killed afterwards."""
    running = subprocess.Popen([sys.executable, "-c", code, *words], cwd=tree, text=True, bufsize=1,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def ask(worker: subprocess.Popen, *question: int) -> list[float]:
    """Seconds until the first answer, and per frame."""
    worker.stdin.write(json.dumps(question) + "\n")
    line = worker.stdout.readline()
    if not line:
        sys.exit("against: a worker stopped; what went wrong stands above")
    return json.loads(line)


def measure(workers: dict[str, subprocess.Popen], rows: int, objects: int) -> dict:
    """Medians of `TURNS` turns of each tree: name -> seconds of the first picture and of a frame."""
    found = {name: [] for name in workers}
    for _ in range(TURNS):
        for name, worker in workers.items():
            found[name].append(ask(worker, rows, objects, FRAMES))
    return {name: {"first": turns[0][0], "frame": statistics.median(frame for _, frame in turns)}
            for name, turns in found.items()}


def line(case: dict, names: list[str]) -> str:
    """A row of the table."""
    old, text = case["seconds"]["old"], f"| {case['rows']} | {case['objects']} | {case['busy']} "
    for name in names:
        now = case["seconds"][name]
        text += f"| {1000 * now['frame']:.0f}"
        text += f", {old['frame'] / now['frame']:.2f}" if name != "old" else ""
        text += f" | {now['first']:.2f}" + (f", {old['first'] / now['first']:.2f} " if name != "old" else " ")
    return text + "|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commit", help="the older commit")
    parser.add_argument("--rows", type=int, nargs="+", default=[240, 360, 480], help="of the frames that the networks see")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2], help="processes that compute beside it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args()
    paths = [str(path) for path in sorted((ROOT / "data/scenes/JPEGImages").rglob("huddle/*.jpg"))[:8]]
    if not paths:
        sys.exit("against: the scene huddle is not in data/scenes")
    cases = []
    with checked_out(args.commit) as tree, ExitStack() as stack:
        trees = {"old": tree, "whole": ROOT, "best": ROOT, "view": ROOT}
        workers = {name: stack.enter_context(process(WORKER, where, name, *paths)) for name, where in trees.items()}
        print("| rows | objects | busy | old: ms a frame | first picture, s | whole: ms, times | s, times | best: ms | s "
              "| view: ms | s |")
        print("|" + 11 * "---|")
        for busy in args.busy:
            with ExitStack() as others:
                for _ in range(busy):
                    others.enter_context(process(LOOP, ROOT))
                for rows in args.rows:
                    for objects in args.objects:
                        seconds = measure(workers, rows, objects)
                        cases.append({"rows": rows, "objects": objects, "busy": busy, "seconds": seconds})
                        print(line(cases[-1], list(trees)), flush=True)
    if args.json:
        args.json.write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
