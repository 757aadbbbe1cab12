"""The command line: python -m vosedu segment | evaluate | table1 | demo | train | … (`build_parser` has them all)."""

import argparse
import copy
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from . import baselines, bench, clips, datasets, distillation, download, metrics, runs, training, tuning
from .config import PRESETS, Config, departures, describe
from .doctor import doctor, machine, versions
from .errors import InputError, file_error
from .evaluation import claim, resumable_sequence, score_results, table, to_size
from .features import NAMES, RESNETS, fold_batchnorm
from .files import atomic, make_folder, write_json
from .flags import add_engine_flags, announce, check_flags, from_run, make_segmenter, settings_of
from .runs import segment_video
from .segmenter import Segmenter, Video, pick_device
from .video import FrameSource, OverlayWriter, check_first_mask, contact_sheet, overlay, read_mask
from .weights import BUNDLED_BASE, load_pretrained, part, save, weight_files


def _stages(stages: dict[str, float]) -> str:
    return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())


# --- segment


def segment(args: argparse.Namespace) -> int:
    """Segment one video from the mask of its first frame; run again, it goes on from where it was cut off."""
    recorded = None
    if args.recorded:
        recorded = runs.read_notes(args.recorded)
        args = from_run(args, recorded, build_parser())
    elif args.input is None or args.masks is None:
        raise InputError("give a video and --masks FIRST.png, or --from run.json")
    check_flags(args)
    if not args.checkpoint >= 0:
        raise InputError(f"--checkpoint is {args.checkpoint}: give seconds, 0 or more")
    source = FrameSource(args.input, args.short_side)
    given = read_mask(args.masks, source.size)
    check_first_mask(given, args.masks)
    labels = to_size(given, source.working_size)
    check_first_mask(labels, f"{args.masks} at {source.working_size[1]}x{source.working_size[0]}")
    out = args.out or Path(f"{args.input.stem}-masks")
    segmenter = make_segmenter(args)
    notes = {
        "input": str(args.input.resolve()), "masks": str(args.masks.resolve()), "settings": settings_of(args, segmenter),
        "sha256": {
            "input": runs.digest(source.files), "masks": runs.digest([args.masks]),
            "weights": {file.name: runs.digest([file]) for file in weight_files(args.backbone, args.weights)},
        },
        "versions": versions(), "machine": machine(segmenter.device), "threads": torch.get_num_threads(), "finished": False,
    }
    if recorded:
        runs.check_repeats(args.recorded, recorded, notes)
    begun = runs.begin(make_folder(out), notes, source)
    announce(segmenter, args)
    for other, where in ((begun, out / runs.NOTES), (recorded, args.recorded)):
        if other and (differing := runs.elsewhere(other, notes)):
            print(f"vosedu: {where} was written with {differing}: masks may differ in places", file=sys.stderr)
    notes = {**begun, **_run(args, segmenter, source, given, labels, out, begun)}
    print(f"{notes['frames']} frames, {notes['objects']} object{'s' * (notes['objects'] > 1)}, "
          f"{notes['frames'] / notes['seconds']:.1f} frames per second including decoding and writing\n"
          f"seconds by stage: {_stages(notes['stages'])}\nmasks in {out}{f', overlay {args.overlay}' if args.overlay else ''}")
    if segmenter.device.type == "cuda" and segmenter.graphs != "on":
        print(f"vosedu: CUDA graphs {segmenter.graphs}; masks are the same, slower", file=sys.stderr)
    if source.is_video and source.count not in (None, notes["frames"]):
        print(f"vosedu: the container says {source.count} frames, {notes['frames']} could be decoded", file=sys.stderr)
    if recorded and recorded["finished"]:
        same = recorded["sha256"].get("output") == notes["sha256"]["output"]
        print(f"masks {'are bit for bit those' if same else 'DIFFER from those'} of {args.recorded}")
        return 0 if same else 1
    return 0


def _run(
    args: argparse.Namespace, segmenter: Segmenter, source: FrameSource, given: np.ndarray, labels: np.ndarray, out: Path,
    begun: dict,
) -> dict:
    """Segment, or only redraw what is finished; returns what run.json says at the end of a run, and writes it."""
    pictures, count = [], 0

    def each(video: Video | None, frame: np.ndarray, answer: np.ndarray) -> None:
        nonlocal count
        index = video.frame_index if video else count
        if args.sheet and index % max(1, (source.count or 100) // 8) == 0 and len(pictures) < 8:
            pictures.append(overlay(frame, answer))
        bar.update(index + 1 - count)
        count = index + 1

    checkpoint, found, shown = runs.Checkpoint(out, args.checkpoint), {}, bool(args.overlay or args.sheet)
    with ExitStack() as stack:
        drawing = args.overlay and stack.enter_context(OverlayWriter(args.overlay, source.fps, source.size))
        bar = stack.enter_context(tqdm(total=source.count, unit="frame", disable=args.quiet, file=sys.stderr))
        if not begun["finished"]:
            video = segment_video(segmenter, source, given, labels, out, drawing, args.seed, each, checkpoint, shown)
            found = runs.end(out, begun, source, video, checkpoint)
        elif shown:
            runs.redraw(source, out, begun["frames"], drawing, each)
        else:
            print(f"vosedu: {out} holds all masks of this very run already: nothing to do", file=sys.stderr)
    if args.sheet:
        make_folder(args.sheet.parent)
        with atomic(args.sheet) as temporary:
            Image.fromarray(contact_sheet(pictures)).save(temporary)
    return found


# --- evaluate


def evaluate(args: argparse.Namespace) -> int:
    """Run and score a data set, or score existing results."""
    check_flags(args)
    names = [s for s in (args.sequences or "").split(",") if s]
    sequences = datasets.load(args.dataset, args.root, args.split, names)
    if args.json:
        make_folder(args.json.parent)
    scorers, seconds, frames = {}, {}, {s.name: len(s.frame_names) for s in sequences}
    segmenter, settings = None, {"results": str(args.results)}
    if args.results is None:
        segmenter = make_segmenter(args)
        settings = {"dataset": args.dataset, **settings_of(args, segmenter)}
        if args.out is not None:
            claim(make_folder(args.out), settings)
        announce(segmenter, args)
    with tqdm(total=sum(frames.values()), unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for sequence in sequences:
            bar.set_description(sequence.name)
            if args.results is not None:
                scorers[sequence.name] = score_results(sequence, args.results / sequence.name, bar)
            else:
                scorers[sequence.name], seconds[sequence.name] = resumable_sequence(
                    segmenter, sequence, args.out, args.short_side, args.seed, bar
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
    print(table(result))
    if args.json:
        write_json(args.json, result)
    return 0


# --- Table 1


def table1(args: argparse.Namespace) -> int:
    """The ablation of Table 1 on a data set: one R, one evaluation, rows that differ in what the table says."""
    check_flags(args)
    names = [s for s in (args.sequences or "").split(",") if s]
    sequences = datasets.load(args.dataset, args.root, args.split, names)
    segmenter = make_segmenter(args)
    if segmenter.refinement is None:
        raise InputError(f"Table 1 needs a refinement network for {args.backbone}: give it with --weights")
    best, fast = segmenter.config, replace(PRESETS["fast"], **departures(segmenter.config))
    alone = copy.copy(segmenter)
    alone.refinement, alone.config = None, replace(best, cg_update=0)
    rows = {"D-only": alone, "Ours - no update": _with(segmenter, replace(best, cg_update=0)), "Ours": segmenter,
            "Ours (fast)": _with(segmenter, fast)}
    base = args.base or (BUNDLED_BASE if args.backbone == "compact" and not args.weights else None)
    if args.fine_tuned and not base:
        raise InputError("--fine-tuned needs a Base net for these weights: give it with --base")
    if base:
        net = baselines.load_base_net(base, segmenter.backbone.channels)
        tuned = {"Base net + F-T": baselines.BaseSegmenter(segmenter, net, fine_tune=True)} if args.fine_tuned else {}
        rows = {"Base net": baselines.BaseSegmenter(segmenter, net), **tuned, **rows}
    if args.rows:
        chosen = args.rows.split(",")
        unknown = [row for row in chosen if row not in rows]
        if unknown:
            raise InputError(f"no row '{unknown[0]}' in the table: choose of {', '.join(rows)}; Base net with other "
                             "weights than the bundled ones needs --base, and Base net + F-T --fine-tuned")
        rows = {row: engine for row, engine in rows.items() if row in chosen}
    announce(segmenter, args)
    frames, results = {s.name: len(s.frame_names) for s in sequences}, {}
    make_folder(args.out)
    with tqdm(total=sum(frames.values()) * len(rows), unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for row, engine in rows.items():
            folder, scorers, seconds = args.out / row.replace(" ", "-"), {}, 0.0
            own = asdict(engine.config) if isinstance(engine, Segmenter) else {"base": runs.digest([base])}
            claim(make_folder(folder), {"dataset": args.dataset, "row": row, **settings_of(args, segmenter), **own})
            for sequence in sequences:
                bar.set_description(f"{row}, {sequence.name}")
                scorers[sequence.name], took = resumable_sequence(
                    engine, sequence, folder, args.short_side, args.seed, bar
                )
                seconds += took
            results[row] = {**metrics.report(scorers, frames), "fps": sum(frames.values()) / seconds}
    print(f"{'version':<18}      J      F    J&F    frames per second")
    for row, result in results.items():
        print(f"{row:<18}  {result['J']['mean']:.3f}  {result['F']['mean']:.3f}  {result['JF_mean']:.3f}  {result['fps']:6.2f}")
    write_json(args.out / "table1.json", {"rows": results, "settings": settings_of(args, segmenter), "versions": versions(),
                                           "machine": machine(segmenter.device)})
    return 0


def _with(segmenter: Segmenter, config: Config) -> Segmenter:
    changed = copy.copy(segmenter)
    changed.config = config
    return changed


# --- demo, distill, train


def demo(args: argparse.Namespace) -> int:
    """Segment a bundled scene: masks, overlay and contact sheet in a folder, J and F on the screen."""
    sequence = datasets.scene(args.scene)
    first = sequence.masks / f"{sequence.frame_names[0]}.png"
    out = args.out
    status = main(["segment", str(sequence.frames), "--masks", str(first), "--out", str(out / sequence.name),
                   "--overlay", str(out / f"{sequence.name}.mp4"), "--sheet", str(out / f"{sequence.name}.png"),
                   *(["--short-side", str(args.short_side)] if args.short_side is not None else [])])
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


def fetch(args: argparse.Namespace) -> int:
    """Fetch a data set from its authors; run again, it goes on from where it was cut off."""
    out = args.out or Path(args.dataset)
    sha256 = download.download(args.dataset, out, args.quiet)
    print(f"{out}: {args.dataset}, from an archive of SHA-256 {sha256}\n"
          f"next: python -m vosedu evaluate {args.dataset} --root {out}")
    return 0


DAVIS_TIMES = 8
"""Passes through DAVIS 2017 for one through YouTube-VOS (Section 3.3)."""
RENDERED_TIMES = 2
"""Passes through rendered clips for one through photographs: they alone show targets that turn."""
ROUGH_RIM = 4
"""Pixels beside a rough outline that are not counted."""


def train(args: argparse.Namespace) -> int:
    """Train R for a backbone (Section 3.3), or something in its place; resumes from OUT. Under torchrun several processes
    share each batch."""
    check_flags(args)
    for name, least in (("steps", 1), ("batch", 1), ("height", 64), ("workers", 0)):
        if getattr(args, name) < least:
            raise InputError(f"--{name} is {getattr(args, name)}: give {least} or more")
    if args.tune_backbone and (args.base_net or args.fine_tune):
        raise InputError("--tune-backbone trains no R: leave --base-net and --fine-tune out")
    if args.with_conv5 and (args.base_net or args.tune_backbone or args.backbone not in ("compact", *RESNETS)):
        raise InputError("--with-conv5 is for training R on compact or a ResNet: leave it out")
    if not 0 <= args.overlap <= 100:
        raise InputError(f"--overlap is {args.overlap}: give 0 to 100")
    recipe = training.Recipe(args.steps, args.batch, rate=args.rate, height=args.height, seed=args.seed,
                             overlap=args.overlap, conv5=args.with_conv5)
    videos = [("davis2017", root, DAVIS_TIMES) for root in args.davis] + [("ytvos", root, 1) for root in args.ytvos]
    sources = [
        (clips.VideoClips(datasets.load(kind, root, "train"), recipe.size, f"{kind}-{n}"), times)
        for n, (kind, root, times) in enumerate(videos)
    ]
    sources += [
        (clips.RenderedClips(datasets.load("folder", root), recipe.size, f"rendered-{n}"), RENDERED_TIMES)
        for n, root in enumerate(args.rendered)
    ]
    sources += [(clips.StillClips(root, recipe.size, f"stills-{n}"), 1) for n, root in enumerate(args.stills)]
    sources += [(clips.StillClips(root, recipe.size, f"rough-{n}", ROUGH_RIM), 1) for n, root in enumerate(args.rough)]
    if not sources:
        raise InputError("nothing to train on: give --stills, --rough, --davis, --ytvos or --rendered")
    joined = training.join_processes(pick_device(args.device))
    segmenter = make_segmenter(args)
    # the segmenter has its batch normalisation folded away; what is trained on and written out has not
    backbone, refinement, readout = load_pretrained(args.backbone, args.weights)
    if args.fine_tune and refinement is None:
        raise InputError("--fine-tune needs weights that hold a refinement network: give them with --weights")
    kind, start, what = training.Training, refinement.state_dict() if args.fine_tune else {}, "R"
    if args.base_net or args.with_conv5:  # R is a part of what is trained
        start = {f"refinement.{k}": v for k, v in start.items()}
    if args.with_conv5:
        start |= {f"conv5.{k}": v for k, v in part(backbone.body.state_dict(), "layer4.").items()}
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
        elif args.with_conv5:
            backbone.body.load_state_dict({f"layer4.{k}": v for k, v in run.trained().conv5.state_dict().items()}, strict=False)
            parts = {"backbone": backbone.body, "refinement": run.trained().refinement}
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
    p.add_argument("input", type=Path, nargs="?", metavar="INPUT", help="a video file, or a folder of frames")
    p.add_argument("--masks", type=Path, metavar="FIRST.png",
                   help="index PNG of the first frame: 0 background, else object ids; 0 and 255 alone are one object")
    p.add_argument("--from", type=Path, dest="recorded", metavar="run.json", help="repeat a run, in place of INPUT, --masks "
                   "and settings, and compare its masks")
    p.add_argument("--out", type=Path, metavar="DIR", help="for one palette PNG a frame (default INPUT-masks)")
    p.add_argument("--checkpoint", type=float, default=10.0, metavar="SECONDS",
                   help="between two checkpoints in DIR, from which the same command goes on (default 10; 0: every frame)")
    p.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="also write a video with the objects tinted")
    p.add_argument("--sheet", type=Path, metavar="FILE.png", help="also write eight overlays as one picture")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(p)
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
    add_engine_flags(p)
    p.set_defaults(run=evaluate)

    p = commands.add_parser("table1", help="the paper's ablation", description=table1.__doc__)
    p.add_argument("dataset", help=", ".join(datasets.NAMES))
    p.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where the data set lies")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="masks and scores; run again to resume")
    p.add_argument("--base", type=Path, metavar="FILE", help="Base net of `vosedu train --base-net`, for its rows (default: "
                   "the bundled one, with the bundled weights)")
    p.add_argument("--rows", metavar="A,B", help="only these rows, by the names in the table")
    p.add_argument("--fine-tuned", action="store_true", help="also Base net + F-T, minutes an object on a CPU")
    p.add_argument("--sequences", metavar="A,B", help="only these")
    p.add_argument("--split", default="val", help="default val")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(p)
    p.set_defaults(run=table1)

    p = commands.add_parser("demo", help="segment a bundled scene", description=demo.__doc__)
    p.add_argument("--scene", default="huddle", help=f"{', '.join(datasets.scene_notes())} (default huddle)")
    p.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    p.add_argument("--short-side", type=int, metavar="N")
    p.set_defaults(run=demo)

    p = commands.add_parser("train", help="train the refinement network", description=train.__doc__)
    for flag, text in (
        ("davis", f"DAVIS 2017, its train split, {DAVIS_TIMES} times an epoch"), ("ytvos", "YouTube-VOS, its train split"),
        ("rendered", "folder with JPEGImages and Annotations, such as data/render_scenes.py --random makes"),
        ("stills", "photographs in images/ with YOLO polygons in labels/, made into clips"),
        ("rough", "the same where polygons are rough, as data/outline_photographs.py makes them: their rims are not counted"),
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
    p.add_argument("--fine-tune", action="store_true", help="begin with the R of the weights; with --base-net, for its R")
    p.add_argument("--tune-backbone", action="store_true", help="train the backbone instead, so that D generalises; R then "
                   "needs --fine-tune")
    p.add_argument("--with-conv5", action="store_true", help="train the backbone's conv5_x too, which R alone reads")
    p.add_argument("--overlap", type=float, default=0.0, metavar="W", help="weight of 1 - soft J in the loss beside the "
                   "cross-entropy (default 0, the paper's)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(p)
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
    p.add_argument("--autocast", action="store_true", help="bfloat16 in the networks, on CUDA or a CPU")
    p.add_argument("--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    p.add_argument("--figure", type=Path, metavar="FILE.png", help="draw cost over objects, pixels, samples and frames")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(run=measure)

    p = commands.add_parser("download", help="fetch a data set", description=fetch.__doc__)
    p.add_argument("dataset", help=", ".join(download.ARCHIVES))
    p.add_argument("--out", type=Path, metavar="DIR", help="folder to make (default: the data set's name)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(run=fetch)

    p = commands.add_parser("doctor", help="check this machine", description=doctor.__doc__)
    p.set_defaults(run=doctor)
    p = commands.add_parser("settings", help="list every setting and preset")
    p.set_defaults(run=lambda args: print(describe()) or 0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 where it went well, 2 with one line on stderr where the input cannot be used."""
    try:
        args = build_parser().parse_args(argv)
        return args.run(args)
    except InputError as error:
        print(f"vosedu: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"vosedu: {file_error(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vosedu: stopped; what is finished is whole and kept, and the same command goes on from there (evaluate: with "
              "--out)", file=sys.stderr)
        return 130
    except torch.cuda.OutOfMemoryError:
        print("vosedu: the device ran out of memory: use a smaller --batch or --height, or --device cpu", file=sys.stderr)
        return 2
