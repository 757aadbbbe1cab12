"""The fault and fuzz suite: users' files, kills, interrupts, full disks, a long run, damaged files; a table of what survived.

    python -m benchmarks.faults                  # all of it: a quarter to half an hour on two cores
    python -m benchmarks.faults --quick          # the part that the tests run, under a minute

From the repository's root. Commands run as `vosedu.commands.main` in processes of their own, on clips of 64x64 pixels. Exit
status 1 if anything was lost; what docs/robustness.md promises is what is checked here.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import safe_open

from vosedu import weights
from vosedu.commands import main, record
from vosedu.files import datasets, whole
from vosedu.files.images import read_image, read_mask, write_mask

from .fuzz import PROCESSES, Tally, disks, fuzz
from .own_files import own_files

POSIX = os.name == "posix"
PARTS = ("files", "kills", "interrupts", "space", "fuzz", "long")
# `kill` leaves Python's bookkeeper of semaphores behind, which would say so at the end of each process
os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
ENGINE = ["--preset", "fast", "--samples", "4", "--update-every", "4", "--short-side", "0", "--device", "cpu",
          "--threads", "1", "--quiet"]


# --- commands in processes of their own


def child(pipe, words: list[str], scenes: str, most: int | None) -> None:
    """Run a command; send its status and what it printed. `scenes` stands in for the bundled scenes, to be quick."""
    # a job that a shell put into the background ignores Ctrl-C, and so would all its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    load = datasets.load
    datasets.load = lambda name, root, *more: load(*(("davis2017", scenes) if name == "scenes" else (name, root)), *more)
    if most is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    said = io.StringIO()
    pipe.send("ready")
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            status = main(words)
    except BaseException as error:
        status = f"{type(error).__name__}: {error}"
    pipe.send((status, said.getvalue()))


class Command:
    """A command that runs."""

    def __init__(self, words: list, scenes: Path, most: int | None = None):
        self.pipe, end = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=child, args=(end, [str(w) for w in words], str(scenes), most), daemon=True)
        self.process.start()
        end.close()
        self.pipe.recv()

    def end(self, after: float | None = None, how: signal.Signals | None = None) -> tuple[object, str] | None:
        """Status and output; None if the command was killed. `after` so many seconds it is sent `how`."""
        if after is not None and not self.pipe.poll(after):
            if how in (None, getattr(signal, "SIGKILL", None)):
                self.process.kill()
            else:
                os.kill(self.process.pid, how)
        try:
            answer = self.pipe.recv() if self.pipe.poll(600) else ("no answer in ten minutes", "")
        except EOFError:
            answer = None
        self.process.kill() if answer and isinstance(answer[0], str) else None
        self.process.join()
        return answer


# --- the three commands: how to run one, what must hold after each kill, what must come out


class Segmenting:
    """`segment` on a clip of two objects, with overlay; a checkpoint every 50 milliseconds."""

    name = "segment"

    def __init__(self, home: Path, frames: int):
        self.home, self.frames = home, frames

    def words(self, out: Path) -> list:
        return ["segment", self.home / "clip", "--masks", self.home / "first.png", "--out", out / "m", "--overlay",
                out / "o.mp4", "--checkpoint", "0.05", *ENGINE]

    def look(self, out: Path, before: dict, tally: Tally, reference: Path) -> dict:
        """All files whole and right, none lost, none before a checkpoint written again."""
        folder, now, kept = out / "m", {}, 0
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.suffix == ".png" and not path.name.startswith("."):
                now[path.name] = path.stat().st_mtime_ns
                tally.check(path.read_bytes() == (reference / "m" / path.name).read_bytes(), f"mask {path.name} differs")
            elif path.name == record.NAME:
                if record.Run.read(path).finished:
                    kept = self.frames  # and the checkpoint is removed, or about to be
            elif path.name == "checkpoint.safetensors":
                with safe_open(path, framework="pt") as file:
                    kept = max(kept, int(file.get_tensor("frame_index")) + 1)
            else:
                tally.check(path.name.startswith(".vosedu-"), f"stray file {path.name}")
        tally.check(before.get("now", {}).keys() <= now.keys(), "a finished mask was lost")
        tally.check(kept >= before.get("kept", 0), "a checkpoint was lost")
        names = sorted(now)[: before.get("kept", 0)]
        tally.check(all(now[n] == before["now"][n] for n in names), "a frame before a checkpoint was computed again")
        tally.check(kept <= len(now), "a checkpoint is ahead of its masks")
        tally.check(not (out / "o.mp4").exists(), "an overlay of an unfinished run")
        return {"now": now, "kept": kept}

    def same(self, out: Path, reference: Path, tally: Tally) -> None:
        a, b = ({p.name: p.read_bytes() for p in (f / "m").iterdir() if p.suffix != ".json"} for f in (out, reference))
        tally.check(a == b and len(a) == self.frames, "other masks than without interruption, or leftovers")
        tally.check((out / "o.mp4").read_bytes() == (reference / "o.mp4").read_bytes(), "another overlay")
        tally.check(sorted(p.name for p in out.iterdir()) == ["m", "o.mp4"], "leftovers beside the overlay")


class Evaluating:
    """`evaluate` on three short sequences."""

    name = "evaluate"

    def __init__(self, home: Path):
        self.home = home

    def words(self, out: Path) -> list:
        return ["evaluate", "davis2017", "--root", self.home, "--out", out / "r", "--json", out / "scores.json", *ENGINE]

    def look(self, out: Path, before: dict, tally: Tally, reference: Path) -> dict:
        now = {}
        for path in (out / "r").rglob("*") if (out / "r").is_dir() else ():
            if path.is_file() and not path.name.startswith(".vosedu-"):
                if path.suffix == ".json":
                    now[str(path)] = whole.read_json(path)
                else:
                    same = path.read_bytes() == (reference / path.relative_to(out)).read_bytes()
                    tally.check(same, f"{path.name} differs")
        tally.check(all(now.get(path) == content for path, content in before.items()), "a sequence's scores were lost")
        return now

    def same(self, out: Path, reference: Path, tally: Tally) -> None:
        a, b = (json.loads((f / "scores.json").read_text()) for f in (out, reference))
        tally.check(all(a[k] == b[k] for k in ("J", "F", "sequences")), "other scores than without interruption")
        a, b = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.png")} for f in (out, reference))
        tally.check(a == b, "other masks than without interruption, or leftovers")


class Learning:
    """`train` for four steps of two samples, a checkpoint each."""

    name = "train"

    def __init__(self, home: Path):
        self.home = home

    def words(self, out: Path) -> list:
        return ["train", "--davis", self.home, "--steps", "4", "--batch", "2", "--height", "64", "--every", "1", "--out",
                out / "t", *ENGINE]

    def look(self, out: Path, before: dict, tally: Tally, reference: Path) -> dict:
        folder, step = out / "t", 0
        for path in folder.rglob("*") if folder.is_dir() else ():
            if path.name.startswith(".vosedu-") or path.is_dir():
                continue
            if path.suffix == ".pt":
                state = torch.load(path, weights_only=True)
                step = max(step, state.get("step", 0))
            elif path.suffix == ".safetensors":
                weights.read_state(path)
            elif path.suffix == ".png":
                read_image(path)
        tally.check(step >= before.get("step", 0), "a checkpoint was lost")
        return {"step": step}

    def same(self, out: Path, reference: Path, tally: Tally) -> None:
        # by content: safetensors writes its metadata in another order each time
        (a, notes), (b, right) = (weights.read_state(f / "t" / "compact.safetensors") for f in (out, reference))
        same = a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        tally.check(same and notes == right, "other weights than without interruption")
        a, b = ([r[:-1] for r in csv.reader((f / "t" / "training.csv").open())] for f in (out, reference))
        tally.check(a == b and len(a) == 5, "another training.csv")
        tally.check(not list((out / "t").rglob(".vosedu-*")), "leftovers")


Kind = Segmenting | Evaluating | Learning


def reference(kind: Kind, home: Path) -> tuple[Path, float]:
    """The results of an uninterrupted run, and its seconds."""
    out = home / f"{kind.name}-whole"
    out.mkdir()
    began = time.monotonic()
    status, said = Command(kind.words(out), home).end()
    if status != 0:
        raise SystemExit(f"{kind.name} fails even undisturbed: {status} {said}")
    return out, time.monotonic() - began


def disturb(
    kind: Kind, home: Path, whole: tuple[Path, float], times: int, rng: np.random.Generator, how: signal.Signals | None = None
) -> Tally:
    """Stop a command at random instants, going on each time, until it has been stopped so often and come to its end."""
    right, seconds = whole
    tally = Tally(f"{kind.name}, {'Ctrl-C' if how else 'SIGKILL'}")
    rounds = 0
    while tally.tried < times:
        rounds += 1
        if not tally.check(rounds <= 5 * times, f"only {tally.tried} of {times} stops in {rounds} runs"):
            break
        out, state, attempts = home / "work", {}, 0
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        while True:
            attempts += 1
            command, began = Command(kind.words(out), home), time.monotonic()
            after = rng.uniform(0, 1.1 * seconds) if tally.tried < times and attempts < 40 else None
            answer = command.end(after, how)
            if how and answer and answer[0] == 130:
                tally.check("the same command goes on" in answer[1] and "Traceback" not in answer[1], answer[1])
            elif answer:
                if attempts == 1 and answer[0] == 0:  # the machine's load changes, and so does how long a run takes
                    seconds = min(seconds, time.monotonic() - began)
                break
            tally.tried += 1
            try:
                state = kind.look(out, state, tally, right)
            except Exception as error:
                tally.lost.append(f"{type(error).__name__}: {error}")
        if tally.check(answer[0] == 0, f"did not go on: {answer}"):
            kind.same(out, right, tally)
    return tally


def full_disk(kind: Kind, home: Path, whole: tuple[Path, float], times: int, rng: np.random.Generator) -> Tally:
    """No file may grow beyond some size, as on a full disk: one clear line, and all is well once there is space."""
    tally = Tally(f"{kind.name}, no space")
    sizes = [p.stat().st_size for p in whole[0].rglob("*") if p.is_file()]
    for _ in range(times):
        out = home / "work"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        most = int(np.exp(rng.uniform(np.log(64), np.log(max(sizes) * 1.5))))
        status, said = Command(kind.words(out), home, most).end()
        tally.tried += 1
        lines = [line for line in said.splitlines() if line]
        # a limit above the largest file that this run happens to write is no fault
        good = status == 0 or (status == 2 and lines[-1].startswith("vosedu: ") and "free some space" in lines[-1])
        tally.check(good, f"limit {most}: {status} {said[-300:]}")
        try:
            if status != 0:
                kind.look(out, {}, tally, whole[0])
            again = Command(kind.words(out), home).end()
            if tally.check(again[0] == 0, f"limit {most}: did not go on: {again}"):
                kind.same(out, whole[0], tally)
        except Exception as error:
            tally.lost.append(f"limit {most}: {type(error).__name__}: {error}")
    return tally


def small_disk(kind: Segmenting, home: Path, whole: tuple[Path, float], disk: Path, times: int, rng) -> Tally:
    """The same on a real file system with little space, filled but for a random rest, then freed."""
    tally = Tally(f"{kind.name}, full {disk}")
    for _ in range(times):
        out, ballast = disk / "out", disk / "ballast"
        shutil.rmtree(out, ignore_errors=True)
        ballast.unlink(missing_ok=True)
        out.mkdir()
        spare = int(rng.uniform(0, 200_000))
        with open(ballast, "wb") as file:
            file.write(b"\0" * max(0, shutil.disk_usage(disk).free - spare))
        status, said = Command(kind.words(out), home).end()
        tally.tried += 1
        tally.check(status == 2 and "free some space" in said, f"spare {spare}: {status} {said[-300:]}")
        kind.look(out, {}, tally, whole[0])
        ballast.unlink()
        again = Command(kind.words(out), home).end()
        if tally.check(again[0] == 0, f"spare {spare}: did not go on: {again}"):
            kind.same(out, whole[0], tally)
    return tally


# --- a long video


def resident(pid: int) -> float:
    """Resident memory of a process, MiB; NaN where this system does not tell, or the process is gone."""
    try:
        if platform.system() == "Linux":
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        if POSIX:
            return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout) / 1024
    except (OSError, ValueError, IndexError):
        pass
    return float("nan")


def long_run(home: Path, frames: int) -> Tally:
    """`segment` on a long video: all masks there, and memory after the first fifth never far above what it was there."""
    tally = Tally(f"{frames} frames, memory", tried=1)
    clip, out = home / "long", home / "long-masks"
    clip.mkdir()
    pictures, first = disks(24, size=48, objects=1)
    for index in range(frames):
        turn = index % 46  # there and back again
        cv2.imwrite(str(clip / f"{index:05d}.png"), pictures[turn if turn < 24 else 46 - turn][..., ::-1])
    write_mask(home / "long.png", first)
    command = Command(["segment", clip, "--masks", home / "long.png", "--out", out, "--checkpoint", "2", *ENGINE], home)
    used, began = [], time.monotonic()
    while not command.pipe.poll(0.5 if frames > 2000 else 0.1):
        used.append(resident(command.process.pid))
    took = time.monotonic() - began
    status, said = command.end()
    tally.check(status == 0, f"{status} {said}")
    tally.check(len(list(out.glob("*.png"))) == frames, "masks are missing")
    used = np.array(used)[np.isfinite(used)]
    fifth = len(used) // 5
    if len(used) >= 20:
        early, late = used[fifth : 2 * fifth].max(), used[2 * fifth :].max()
        tally.check(late <= early + 16, f"memory rose from {early:.0f} to {late:.0f} MiB")
        marks = ", ".join(f"{used[int(q * (len(used) - 1))]:.0f}" for q in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0))
        tally.note = f"{frames / took:.0f} frames/s; MiB at 10, 20, 40, 60, 80, 100 %: {marks}"
    else:
        tally.note = "memory not measured: too short, or this system does not tell"
    return tally


# --- putting it together


def prepare(home: Path, frames: int) -> None:
    """A clip with its first mask, and three short sequences in DAVIS layout."""
    pictures, first = disks(frames, size=64, objects=2)
    (home / "clip").mkdir()
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(home / "clip" / f"{index:05d}.png"), picture[..., ::-1])
    write_mask(home / "first.png", first)
    for n, name in enumerate(("one", "two", "three")):
        for part in ("JPEGImages", "Annotations"):
            (home / part / "480p" / name).mkdir(parents=True)
        for index, picture in enumerate(pictures[n : n + 8]):
            cv2.imwrite(str(home / "JPEGImages" / "480p" / name / f"{index:05d}.jpg"), picture[..., ::-1])
            write_mask(home / "Annotations" / "480p" / name / f"{index:05d}.png", np.roll(first, index, axis=1))


def suite(args: argparse.Namespace, home: Path) -> list[Tally]:
    """Everything, a line each as it is done."""
    rng = np.random.default_rng(args.seed)
    prepare(home, 40)
    kinds: list[Kind] = [Segmenting(home, 40), Evaluating(home), Learning(home)]
    whole = {kind.name: reference(kind, home) for kind in kinds}
    masks = [read_mask(p) for p in (whole["segment"][0] / "m").glob("*.png")]
    assert sum(set(np.unique(m)) == {0, 1, 2} for m in masks) > 20, "comparing empty masks would prove little"
    few = max(1, args.kills // 5)
    jobs: list[tuple[str, Callable[[], Tally]]] = [("files", lambda: own_files(home, lambda words: Command(words, home).end()))]
    for kind in kinds:
        jobs.append(("kills", lambda kind=kind: disturb(kind, home, whole[kind.name], args.kills, rng)))
    for kind in kinds[:2] if POSIX else ():  # train treats Ctrl-C as it does a kill
        jobs.append(("interrupts", lambda kind=kind: disturb(kind, home, whole[kind.name], few, rng, signal.SIGINT)))
    for kind in kinds if POSIX else ():
        jobs.append(("space", lambda kind=kind: full_disk(kind, home, whole[kind.name], few, rng)))
    if args.small_disk:
        jobs.append(("space", lambda: small_disk(kinds[0], home, whole["segment"], args.small_disk, few, rng)))
    jobs += [("fuzz", lambda: fuzz(home, args.fuzz, args.seed)), ("long", lambda: long_run(home, args.frames))]
    jobs = [(part, job) for part, job in jobs if part in args.parts]
    tallies = []
    print(f"{'':<28} tried  survived  lost  seconds")
    for _, job in jobs:
        began = time.monotonic()
        try:
            tally = job()
        except Exception as error:
            tally = Tally("the suite itself", 1, [f"{type(error).__name__}: {error}"])
        bad = min(tally.tried, len(tally.lost))
        print(f"{tally.part:<28} {tally.tried:5d}  {tally.tried - bad:8d}  {bad:4d}  {time.monotonic() - began:7.0f}  "
              f"{tally.note}", flush=True)
        for line in tally.lost[:20]:
            print(f"    {line}", flush=True)
        tallies.append(tally)
    return tallies


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs a command; a fifth as many Ctrl-Cs and full disks")
    parser.add_argument("--frames", type=int, default=10000, help="of the long run")
    parser.add_argument("--fuzz", type=int, default=4000, help="damaged files")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small-disk", type=Path, metavar="DIR", help="an empty file system of a megabyte, to fill; such as "
                        "mount -t tmpfs -o size=1m tmpfs DIR makes")
    parser.add_argument("--quick", action="store_true", help="--kills 2 --frames 200 --fuzz 170")
    args = parser.parse_args()
    if args.quick:
        args.kills, args.frames, args.fuzz = 2, 200, 170
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vosedu-faults-") as home:
        tallies = suite(args, Path(home))
    tried, lost = sum(t.tried for t in tallies), sum(min(t.tried, len(t.lost)) for t in tallies)
    print(f"{'all':<28} {tried:5d}  {tried - lost:8d}  {lost:4d}  {time.monotonic() - began:7.0f}  seed {args.seed}, "
          f"{platform.system()}, torch {torch.__version__}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(run())
