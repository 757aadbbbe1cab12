"""The command line: python -m vosedu segment | evaluate | table1 | demo | train | distill | bench | doctor | settings."""

import argparse
import copy
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from . import baselines, bench, clips, datasets, distillation, metrics, training, tuning
from .config import PRESETS, Config, describe
from .errors import InputError
from .evaluation import claim, resumable_sequence, score_results, to_size, write_json
from .features import NAMES, RESNETS, fold_batchnorm
from .segmenter import Segmenter, Video, pick_device
from .video import (
    BackgroundWriter,
    FrameSource,
    OverlayWriter,
    atomic,
    check_first_mask,
    contact_sheet,
    make_folder,
    overlay,
    prefetch,
    read_mask,
    write_mask,
)
from .weights import BUNDLED, load_pretrained, save


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("vosedu", "torch", "torchvision", "numpy", "opencv-python"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "from source"
    return found


def machine(device: torch.device) -> str:
    """The device in words: its name, or the number of CPU threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type}, {torch.get_num_threads()} threads"


# --- what commands share


def _add_engine_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engine")
    group.add_argument("--preset", default="best", help="best (default), paper or fast; see `vosedu settings`")
    group.add_argument("--backbone", default="compact", help=", ".join(NAMES) + " (default compact, bundled)")
    group.add_argument("--weights", type=Path, action="append", default=[], metavar="FILE",
                       help="backbone or refinement weights (.safetensors, .pt, .pth); may be given twice")
    group.add_argument("--no-refinement", action="store_true", help="read masks from D alone, the paper's D-only")
    group.add_argument("--device", default="auto", help="auto (cuda, then mps, then cpu), cpu, cuda, cuda:1, mps")
    group.add_argument("--autocast", action="store_true", help="bfloat16 in the networks, on CUDA")
    group.add_argument("--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)")
    group.add_argument("--seed", type=int, default=0, help="of augmentation and start (default 0)")
    group.add_argument("--max-height", type=int, metavar="N", help="work on frames of at most N rows")
    numbers = parser.add_argument_group("settings", "each overrides the preset; see `vosedu settings`")
    for f in fields(Config):
        limits = f.metadata.get("choices") or (f.metadata["low"], f.metadata["high"])
        text = "|".join(limits) if "choices" in f.metadata else f"{limits[0]} to {limits[1]}"
        # argparse reads % as a format
        numbers.add_argument("--" + f.name.replace("_", "-"), type=f.type, metavar=text,
                             help=f.metadata["help"].replace("%", "%%"))


def _config(args: argparse.Namespace) -> Config:
    if args.preset not in PRESETS:
        raise InputError(f"unknown preset '{args.preset}': choose one of {', '.join(PRESETS)}")
    given = {f.name: getattr(args, f.name) for f in fields(Config) if getattr(args, f.name) is not None}
    return replace(PRESETS[args.preset], **given)


def _check_flags(args: argparse.Namespace) -> None:
    """Complain about flags before anything is read."""
    if args.backbone not in NAMES:
        raise InputError(f"unknown backbone '{args.backbone}': choose one of {', '.join(NAMES)}")
    if args.max_height is not None and args.max_height < 32:
        raise InputError(f"--max-height is {args.max_height}: give 32 or more")
    if not 0 <= args.seed < 2**31:
        raise InputError(f"--seed is {args.seed}: give a whole number from 0 to 2147483647")
    _config(args)


def _segmenter(args: argparse.Namespace) -> Segmenter:
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    segmenter = Segmenter.from_pretrained(args.backbone, args.weights, _config(args), args.device, args.autocast)
    if args.no_refinement:
        segmenter.refinement = None
    return segmenter


def _settings(args: argparse.Namespace, segmenter: Segmenter) -> dict:
    """Everything that decides the masks."""
    return {
        "preset": args.preset,
        "backbone": args.backbone,
        "weights": [str(w) for w in args.weights] or "bundled or ImageNet",
        "output": "refinement" if segmenter.refinement else "D only",
        "device": segmenter.device.type,
        "autocast": args.autocast,
        "seed": args.seed,
        "max_height": args.max_height,
        **asdict(segmenter.config),
    }


def _announce(segmenter: Segmenter, args: argparse.Namespace) -> None:
    print(f"vosedu: {args.backbone} on {machine(segmenter.device)}, preset {args.preset}", file=sys.stderr)
    if segmenter.refinement is None and not args.no_refinement:
        print("vosedu: no refinement weights for this backbone, so masks come from the target model alone "
              "(the paper's D-only); give R with --weights", file=sys.stderr)


def _stages(video: Video) -> str:
    return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in video.stopwatch.seconds().items())


# --- segment


def segment_video(
    segmenter: Segmenter,
    source: FrameSource,
    given: np.ndarray,
    labels: np.ndarray,
    out: Path,
    drawing: OverlayWriter | None,
    seed: int = 0,
    each: Callable[[Video, np.ndarray, np.ndarray], None] = lambda *_: None,
) -> Video:
    """Segment a video from its first frame on and write one mask a frame while computing goes on.

    Args:
        source: of the frames.
        given: the first frame's ids at the video's own size.
        labels: the same at `source.working_size`.
        out: folder of the masks, `<frame name>.png`, at the video's own size.
        drawing: takes the overlay of every frame.
        each: called after every frame with the video's state, the frame and its ids (h, w).

    Returns:
        the state after the last frame.
    """
    video = None
    with BackgroundWriter() as writer, closing(prefetch(source)) as frames:
        for name, frame in frames:
            if video is None:
                video, answer, full = segmenter.start(frame, labels, seed), labels, given
            else:
                answer = video.step(frame).cpu().numpy()
                full = answer if answer.shape == source.size else video.enlarged(source.size)
            writer.submit(write_mask, out / f"{name}.png", full)
            if drawing:
                writer.submit(drawing.add, overlay(frame, answer))
            each(video, frame, answer)
    return video


def segment(args: argparse.Namespace) -> int:
    """Segment one video from the mask of its first frame."""
    _check_flags(args)
    source = FrameSource(args.input, args.max_height)
    given = read_mask(args.masks, source.size)
    check_first_mask(given, args.masks)
    labels = to_size(given, source.working_size)
    check_first_mask(labels, f"{args.masks} at {source.working_size[0]} rows")
    out = args.out or Path(f"{args.input.stem}-masks")
    segmenter = _segmenter(args)
    make_folder(out)
    _announce(segmenter, args)
    began, pictures, count = time.perf_counter(), [], 0

    def each(_video: Video, frame: np.ndarray, answer: np.ndarray) -> None:
        nonlocal count
        if args.sheet and count % max(1, (source.count or 100) // 8) == 0 and len(pictures) < 8:
            pictures.append(overlay(frame, answer))
        count += 1
        bar.update()

    with ExitStack() as stack:
        drawing = args.overlay and stack.enter_context(OverlayWriter(args.overlay, source.fps, source.working_size))
        bar = stack.enter_context(tqdm(total=source.count, unit="frame", disable=args.quiet, file=sys.stderr))
        video = segment_video(segmenter, source, given, labels, out, drawing, args.seed, each)
    if args.sheet:
        make_folder(args.sheet.parent)
        with atomic(args.sheet) as temporary:
            cv2.imwrite(str(temporary), contact_sheet(pictures)[..., ::-1])
    seconds = time.perf_counter() - began
    write_json(out / "run.json", {
        "input": str(args.input), "masks": str(args.masks), "frames": count, "objects": len(video.ids),
        "settings": _settings(args, segmenter), "versions": versions(),
        "machine": machine(segmenter.device), "seconds": seconds, "stages": video.stopwatch.seconds(),
    })
    print(f"{count} frames, {len(video.ids)} object{'s' * (len(video.ids) > 1)}, {count / seconds:.1f} frames per second "
          f"including decoding and writing\nseconds by stage: {_stages(video)}\nmasks in {out}"
          + (f", overlay {args.overlay}" if args.overlay else ""))
    return 0


# --- evaluate


def evaluate(args: argparse.Namespace) -> int:
    """Run and score a data set, or score existing results."""
    _check_flags(args)
    names = [s for s in (args.sequences or "").split(",") if s]
    sequences = datasets.load(args.dataset, args.root, args.split, names)
    if args.json:
        make_folder(args.json.parent)
    scorers, seconds, frames = {}, {}, {s.name: len(s.frame_names) for s in sequences}
    segmenter, settings = None, {"results": str(args.results)}
    if args.results is None:
        segmenter = _segmenter(args)
        settings = {"dataset": args.dataset, **_settings(args, segmenter)}
        if args.out is not None:
            claim(make_folder(args.out), settings)
        _announce(segmenter, args)
    with tqdm(total=sum(frames.values()), unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for sequence in sequences:
            bar.set_description(sequence.name)
            if args.results is not None:
                scorers[sequence.name] = score_results(sequence, args.results / sequence.name, bar)
            else:
                scorers[sequence.name], seconds[sequence.name] = resumable_sequence(
                    segmenter, sequence, args.out, args.max_height, args.seed, bar
                )
    try:
        result = metrics.report(scorers, frames)
    except ValueError as error:
        raise InputError(f"{args.root}: {error}") from None
    if g := metrics.overall_g(scorers, {s.name: s.seen for s in sequences}):
        result["youtube_vos"] = g
    result["fps"] = sum(frames.values()) / sum(seconds.values()) if seconds else None
    result["config"], result["versions"] = settings, versions()
    if segmenter:
        result["machine"] = machine(segmenter.device)
    print(_table(result))
    if args.json:
        write_json(args.json, result)
    return 0


def _table(result: dict) -> str:
    width = max(len("sequence"), *(len(name) for name in result["sequences"]))
    rows = [f"{'sequence':<{width}}  frames  objects      J      F    J&F"]
    for name, row in result["sequences"].items():
        rows.append(f"{name:<{width}}  {row['frames']:6d}  {row['objects']:7d}  "
                    f"{row['J_mean']:.3f}  {row['F_mean']:.3f}  {row['JF_mean']:.3f}")
    j, f = result["J"], result["F"]
    rows.append(f"{'mean':<{width}}  {'':6}  {'':7}  {j['mean']:.3f}  {f['mean']:.3f}  {result['JF_mean']:.3f}")
    rows.append(f"J recall {j['recall']:.3f} decay {j['decay']:.3f}, F recall {f['recall']:.3f} decay {f['decay']:.3f}"
                + (f", {result['fps']:.2f} frames per second" if result["fps"] else ""))
    if "youtube_vos" in result:
        rows.append(", ".join(f"{key} {value:.3f}" for key, value in result["youtube_vos"].items()))
    return "\n".join(rows)


# --- Table 1


def table1(args: argparse.Namespace) -> int:
    """The ablation of Table 1 on a data set: one R, one evaluation, rows that differ in what the table says."""
    _check_flags(args)
    names = [s for s in (args.sequences or "").split(",") if s]
    sequences = datasets.load(args.dataset, args.root, args.split, names)
    segmenter = _segmenter(args)
    if segmenter.refinement is None:
        raise InputError(f"Table 1 needs a refinement network for {args.backbone}: give it with --weights")
    best, fast = segmenter.config, replace(PRESETS["fast"], **_departures(segmenter.config))
    alone = copy.copy(segmenter)
    alone.refinement, alone.config = None, replace(best, cg_update=0)
    rows = {"D-only": alone, "Ours - no update": _with(segmenter, replace(best, cg_update=0)), "Ours": segmenter,
            "Ours (fast)": _with(segmenter, fast)}
    if args.base:
        net = baselines.load_base_net(args.base, segmenter.backbone.channels)
        tuned = {"Base net + F-T": baselines.BaseSegmenter(segmenter, net, fine_tune=True)} if args.fine_tuned else {}
        rows = {"Base net": baselines.BaseSegmenter(segmenter, net), **tuned, **rows}
    if args.rows:
        chosen = args.rows.split(",")
        unknown = [row for row in chosen if row not in rows]
        if unknown:
            raise InputError(f"no row '{unknown[0]}' in the table: choose of {', '.join(rows)}; Base net needs --base")
        rows = {row: engine for row, engine in rows.items() if row in chosen}
    _announce(segmenter, args)
    frames, results = {s.name: len(s.frame_names) for s in sequences}, {}
    make_folder(args.out)
    with tqdm(total=sum(frames.values()) * len(rows), unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for row, engine in rows.items():
            folder, scorers, seconds = args.out / row.replace(" ", "-"), {}, 0.0
            claim(make_folder(folder), {"dataset": args.dataset, "row": row, **_settings(args, segmenter),
                                         **(asdict(engine.config) if isinstance(engine, Segmenter) else {})})
            for sequence in sequences:
                bar.set_description(f"{row}, {sequence.name}")
                scorers[sequence.name], took = resumable_sequence(
                    engine, sequence, folder, args.max_height, args.seed, bar
                )
                seconds += took
            results[row] = {**metrics.report(scorers, frames), "fps": sum(frames.values()) / seconds}
    print(f"{'version':<18}      J      F    J&F    frames per second")
    for row, result in results.items():
        print(f"{row:<18}  {result['J']['mean']:.3f}  {result['F']['mean']:.3f}  {result['JF_mean']:.3f}  {result['fps']:6.2f}")
    write_json(args.out / "table1.json", {"rows": results, "settings": _settings(args, segmenter), "versions": versions(),
                                           "machine": machine(segmenter.device)})
    return 0


def _with(segmenter: Segmenter, config: Config) -> Segmenter:
    changed = copy.copy(segmenter)
    changed.config = config
    return changed


def _departures(config: Config) -> dict:
    """The fields in which a configuration departs from PAPER and which FAST does not set itself."""
    paper, fast = asdict(PRESETS["paper"]), asdict(PRESETS["fast"])
    return {k: v for k, v in asdict(config).items() if v != paper[k] and fast[k] == paper[k]}


# --- doctor, settings


def doctor(args: argparse.Namespace) -> int:
    """Check this machine, a line an item; exit status 1 where something is missing."""
    fine = True

    def line(good: bool, text: str, remedy: str = "") -> None:
        nonlocal fine
        fine &= good
        print(f"{'ok     ' if good else 'missing'}  {text}" + (f": {remedy}" if remedy and not good else ""))

    line(sys.version_info >= (3, 10), f"Python {platform.python_version()}", "install Python 3.10 or newer")
    line(True, ", ".join(f"{k} {v}" for k, v in versions().items() if k != "python"))
    line(True, f"device {pick_device()} ({machine(pick_device())}); CUDA {'there' if torch.cuda.is_available() else 'absent'}, "
               f"MPS {'there' if torch.backends.mps.is_available() else 'absent'}")
    line(BUNDLED.is_file(), f"bundled weights {BUNDLED}", "restore data/weights from the repository")
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cached = sorted({n for n in RESNETS for _ in cache.glob(f"{n}-*.pth")}) if cache.is_dir() else []
    line(True, f"ImageNet weights in {cache}: {', '.join(cached) or 'none; fetched when a ResNet is first asked for'}")
    try:
        line(True, f"bundled scenes: {', '.join(datasets.scene_notes())}")
    except InputError as error:
        line(False, str(error))
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        line(os.access(folder, os.W_OK), f"write access to {folder}", "choose other folders with --out")
    try:
        score, seconds = self_test()
        line(score > 0.8, f"self-test: J {score:.2f} on a moving disk, {seconds:.1f} s", "reinstall, and report this line")
    except InputError as error:
        line(False, f"self-test: {error}")
    return 0 if fine else 1


def self_test() -> tuple[float, float]:
    """Segment five frames of a textured disk that moves over a textured ground; mean J, and seconds."""
    rng = np.random.default_rng(0)

    def texture(colour: tuple[int, int, int]) -> np.ndarray:
        noise = cv2.resize(rng.normal(0, 40, (12, 16)).astype(np.float32), (256, 192), interpolation=cv2.INTER_CUBIC)
        return np.clip(np.array(colour) + noise[..., None], 0, 255).astype(np.uint8)

    ground, disk, scores, began = texture((90, 120, 60)), texture((190, 70, 50)), [], time.perf_counter()
    segmenter, video = Segmenter.from_pretrained(config=replace(PRESETS["fast"], samples=6)), None
    for t in range(5):
        mask = cv2.circle(np.zeros((192, 256), np.uint8), (80 + 10 * t, 90 + 3 * t), 40, 1, -1)
        frame = np.where(mask[..., None] > 0, np.roll(disk, 10 * t, 1), ground)
        if video is None:
            video = segmenter.start(frame, mask)
        else:
            scores.append(metrics.jaccard(video.step(frame).cpu().numpy(), mask))
    return float(np.mean(scores)), time.perf_counter() - began


def demo(args: argparse.Namespace) -> int:
    """Segment a bundled scene: masks, overlay and contact sheet in a folder, J and F on the screen."""
    sequence = datasets.scene(args.scene)
    first = sequence.masks / f"{sequence.frame_names[0]}.png"
    out = args.out
    status = main(["segment", str(sequence.frames), "--masks", str(first), "--out", str(out / sequence.name),
                   "--overlay", str(out / f"{sequence.name}.mp4"), "--sheet", str(out / f"{sequence.name}.png"),
                   *(["--max-height", str(args.max_height)] if args.max_height else [])])
    if status == 0:
        status = main(["evaluate", "scenes", "--sequences", sequence.name, "--results", str(out), "--quiet"])
        print(f"look at {out / sequence.name}.png and {out / sequence.name}.mp4")
    return status


def distill(args: argparse.Namespace) -> int:
    """Make a compact backbone from a teacher; resumes from OUT. This is how the bundled one was made."""
    if args.steps < 1:
        raise InputError(f"--steps is {args.steps}: give 1 or more")
    teacher, _, _ = load_pretrained("mobilenet_v2", [args.teacher])
    with tqdm(total=args.steps, unit="step", file=sys.stderr) as bar:
        student = distillation.distill(
            fold_batchnorm(teacher), args.images, make_folder(args.out), args.steps, seed=args.seed, bar=bar
        )
    path = args.out / "compact.safetensors"
    save(path, "compact", {"backbone": student.body}, recipe=f"vosedu distill, {args.steps} steps, seed {args.seed}")
    print(f"{path}: use it with --weights; losses in {args.out / 'distillation.csv'}")
    return 0


DAVIS_TIMES = 8
"""Passes through DAVIS 2017 for one through YouTube-VOS (Section 3.3)."""


def train(args: argparse.Namespace) -> int:
    """Train R for a backbone (Section 3.3), or something in its place; resumes from OUT. Under torchrun several processes
    share each batch."""
    _check_flags(args)
    for name, least in (("steps", 1), ("batch", 1), ("height", 64), ("workers", 0)):
        if getattr(args, name) < least:
            raise InputError(f"--{name} is {getattr(args, name)}: give {least} or more")
    recipe = training.Recipe(args.steps, args.batch, rate=args.rate, height=args.height, seed=args.seed)
    videos = [("davis2017", root, DAVIS_TIMES) for root in args.davis] + [("ytvos", root, 1) for root in args.ytvos]
    videos += [("folder", root, 1) for root in args.rendered]
    sources = [
        (clips.VideoClips(datasets.load(kind, root, "train"), recipe.size, f"{kind}-{n}"), times)
        for n, (kind, root, times) in enumerate(videos)
    ]
    sources += [(clips.StillClips(root, recipe.size, f"stills-{n}"), 1) for n, root in enumerate(args.stills)]
    if not sources:
        raise InputError("nothing to train on: give --stills, --davis, --ytvos or --rendered")
    if args.base_net + args.fine_tune + args.tune_backbone > 1:
        raise InputError("--base-net, --fine-tune and --tune-backbone are three different runs: give one of them")
    joined = training.join_processes(pick_device(args.device))
    segmenter = _segmenter(args)
    # the segmenter has its batch normalisation folded away; what is trained on and written out has not
    backbone, refinement, readout = load_pretrained(args.backbone, args.weights)
    if args.fine_tune and refinement is None:
        raise InputError("--fine-tune needs weights that hold a refinement network: give them with --weights")
    kind, start, what = training.Training, refinement.state_dict() if args.fine_tune else None, "R"
    if args.base_net:
        kind, what = baselines.BaseTraining, "Base net"
    elif args.tune_backbone:
        kind, start, what = tuning.FeatureTuning, tuning.Tunable(backbone).state_dict(), "features"
    run = kind(segmenter, sources, recipe, make_folder(args.out), start)
    body = {} if args.backbone in RESNETS else {"backbone": backbone.body}  # torchvision has the ResNets' own
    path = args.out / f"{args.backbone}{'-base' * args.base_net}.safetensors"

    def keep(run: training.Training) -> None:
        if args.base_net:
            parts = {"base": run.trained()}
        elif args.tune_backbone:  # R, made for the features as they were, comes along to be fine-tuned
            parts = {"backbone": run.trained().backbone.body, **({"refinement": refinement} if refinement else {})}
        else:
            parts = {**body, "refinement": run.trained()}
        recipe_text = f"vosedu train, step {run.step} of {recipe.steps}"
        save(path, args.backbone, parts, None if args.base_net else readout, recipe=recipe_text)

    if run.rank == 0:
        print(f"vosedu: {what} for {args.backbone} on {machine(segmenter.device)}, "
              f"{len(run.samples.entries)} sequences an epoch, processes {run.processes}", file=sys.stderr)
    with tqdm(total=recipe.steps, unit="step", disable=args.quiet or run.rank > 0, file=sys.stderr) as bar:
        held_out = clips.VideoClips(datasets.load("scenes", datasets.SCENES), recipe.size, "scenes")
        training.train(run, held_out, args.every, args.workers, bar, keep)
    if run.rank == 0:
        print(f"{path}: use it with --weights; curves in {args.out / 'training.png'} and training.csv")
    if joined:
        training.leave_processes()
    return 0


def measure(args: argparse.Namespace) -> int:
    """Measure this machine: the solver against the usual form, frames by stage, frame rates, memory, FLOP/s."""
    if args.backbone not in NAMES:
        raise InputError(f"unknown backbone '{args.backbone}': choose one of {', '.join(NAMES)}")
    if args.repeats < 1:
        raise InputError(f"--repeats is {args.repeats}: give 1 or more")
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    for path in (args.json, args.figure):
        if path:
            make_folder(path.parent)
    with tempfile.TemporaryDirectory() as folder, tqdm(unit="part", disable=args.quiet, file=sys.stderr) as bar:
        result = bench.measure(args.backbone, args.device, args.autocast, args.quick, args.repeats, Path(folder), bar)
    result["machine"], result["versions"] = machine(pick_device(args.device)), versions()
    result["backbone"], result["quick"], result["autocast"] = args.backbone, args.quick, args.autocast
    print(f"{result['machine']}, {', '.join(f'{k} {v}' for k, v in result['versions'].items())}; backbone {args.backbone}\n")
    print(bench.table(result))
    if args.json:
        write_json(args.json, result)
    if args.figure:
        bench.draw(result, args.figure)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="vosedu", description="Segment objects in video from a first mask, by "
                                     "discriminative online learning (Robinson et al. 2019).")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    p = commands.add_parser("segment", help="segment one video", description=segment.__doc__)
    p.add_argument("input", type=Path, metavar="INPUT", help="a video file, or a folder of frames")
    p.add_argument("--masks", type=Path, required=True, metavar="FIRST.png",
                   help="index PNG of the first frame: 0 background, else object ids; 0 and 255 alone are one object")
    p.add_argument("--out", type=Path, metavar="DIR", help="for one palette PNG a frame (default INPUT-masks)")
    p.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="also write a video with the objects tinted")
    p.add_argument("--sheet", type=Path, metavar="FILE.png", help="also write eight overlays as one picture")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_engine_flags(p)
    p.set_defaults(run=segment)

    p = commands.add_parser("evaluate", help="score a data set", description=evaluate.__doc__)
    p.add_argument("dataset", help=", ".join(datasets.NAMES))
    p.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where the data set lies")
    p.add_argument("--sequences", metavar="A,B", help="only these")
    p.add_argument("--split", default="val", help="default val")
    p.add_argument("--out", type=Path, metavar="DIR", help="keep masks and scores there; run again to resume")
    p.add_argument("--results", type=Path, metavar="DIR", help="score the masks in DIR/<sequence> and run nothing")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_engine_flags(p)
    p.set_defaults(run=evaluate)

    p = commands.add_parser("table1", help="the paper's ablation", description=table1.__doc__)
    p.add_argument("dataset", help=", ".join(datasets.NAMES))
    p.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where the data set lies")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="masks and scores; run again to resume")
    p.add_argument("--base", type=Path, metavar="FILE", help="Base net of `vosedu train --base-net`, for its rows")
    p.add_argument("--rows", metavar="A,B", help="only these rows, by the names in the table")
    p.add_argument("--fine-tuned", action="store_true", help="with --base: also Base net + F-T, which takes hours on a CPU")
    p.add_argument("--sequences", metavar="A,B", help="only these")
    p.add_argument("--split", default="val", help="default val")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_engine_flags(p)
    p.set_defaults(run=table1)

    p = commands.add_parser("demo", help="segment a bundled scene", description=demo.__doc__)
    p.add_argument("--scene", default="huddle", help=f"{', '.join(datasets.scene_notes())} (default huddle)")
    p.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    p.add_argument("--max-height", type=int, metavar="N")
    p.set_defaults(run=demo)

    p = commands.add_parser("train", help="train the refinement network", description=train.__doc__)
    for flag, text in (
        ("davis", f"DAVIS 2017, its train split, {DAVIS_TIMES} times an epoch"), ("ytvos", "YouTube-VOS, its train split"),
        ("rendered", "folder with JPEGImages and Annotations, such as data/render_scenes.py --random makes"),
        ("stills", "photographs in images/ with YOLO polygons in labels/, made into clips"),
    ):
        p.add_argument(f"--{flag}", type=Path, action="append", default=[], metavar="DIR", help=text + "; may be repeated")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint, curves and the weights as they come")
    p.add_argument("--steps", type=int, default=3000, help="default 3000")
    p.add_argument("--batch", type=int, default=4, help="samples of two frames a step, over all processes (default 4)")
    p.add_argument("--rate", type=float, default=1e-3, help="of Adam; a tenth in the last third (default 0.001)")
    p.add_argument("--height", type=int, default=240, help="rows of the training frames, 16:9 (default 240)")
    p.add_argument("--every", type=int, default=100, help="steps between checkpoints (default 100)")
    p.add_argument("--workers", type=int, default=0, help="processes that prepare samples (default 0: none beside this)")
    p.add_argument("--base-net", action="store_true", help="train Table 1's Base net, a target encoder in D's place")
    p.add_argument("--fine-tune", action="store_true", help="begin with the R of the weights")
    p.add_argument("--tune-backbone", action="store_true", help="train the backbone instead, so that D generalises; R then "
                   "needs --fine-tune")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_engine_flags(p)
    p.set_defaults(run=train)

    p = commands.add_parser("distill", help="make a compact backbone", description=distill.__doc__)
    p.add_argument("--teacher", type=Path, required=True, metavar="FILE", help="parameters of torchvision's mobilenet_v2, "
                   "trained with ReLU in place of ReLU6")
    p.add_argument("--images", type=Path, required=True, action="append", metavar="DIR", help="photographs; may be repeated")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint, losses and the finished weights")
    p.add_argument("--steps", type=int, default=6000, help="of 16 crops (default 6000)")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(run=distill)

    p = commands.add_parser("bench", help="measure speed and memory here", description=measure.__doc__)
    p.add_argument("--quick", action="store_true", help="smaller problems, one and two objects: a minute or two")
    p.add_argument("--repeats", type=int, default=3, help="of everything that is compared (default 3)")
    p.add_argument("--backbone", default="compact", help=", ".join(NAMES) + " (random parameters; default compact)")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    p.add_argument("--autocast", action="store_true", help="bfloat16 in the networks, on CUDA")
    p.add_argument("--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    p.add_argument("--figure", type=Path, metavar="FILE.png", help="draw cost over objects, pixels, samples and frames")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(run=measure)

    p = commands.add_parser("doctor", help="check this machine", description=doctor.__doc__)
    p.set_defaults(run=doctor)
    p = commands.add_parser("settings", help="list every setting and preset")
    p.set_defaults(run=lambda args: print(describe()) or 0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 where it went well, 2 with one line on stderr where the input cannot be used."""
    args = build_parser().parse_args(argv)
    try:
        return args.run(args)
    except InputError as error:
        print(f"vosedu: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vosedu: stopped; finished masks are whole and kept, and evaluate with --out goes on from there", file=sys.stderr)
        return 130
    except torch.OutOfMemoryError:
        print("vosedu: the device ran out of memory: use --max-height 480, or --device cpu", file=sys.stderr)
        return 2
