"""Sequences segmented and scored: an engine whose answers are known, scores counted in NumPy; `evaluate` from end to end."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import save_frames
from PIL import Image

from vosedu.commands import main
from vosedu.errors import InputError
from vosedu.evaluation import scoring
from vosedu.evaluation.scoring import claim, run_sequence, score_results, table
from vosedu.files.datasets import AnnotatedVideo, load
from vosedu.files.images import write_mask

SIZE = (40, 60)


def iou(a, b):
    """Intersection over union of two boolean arrays, pixel by pixel."""
    both, either = int((a & b).sum()), int((a | b).sum())
    return both / either if either else 1.0


def boxes(frames=6):
    """Ids (T, H, W): object 5 moves right, object 2 moves down and is there from frame 2 on; no two masks are alike."""
    labels = np.zeros((frames, *SIZE), np.uint8)
    for t in range(frames):
        labels[t, 4:14, 6 + 4 * t : 26 + 4 * t] = 5
        if t >= 2:
            labels[t, 18 + 2 * t : 26 + 2 * t, 30:47] = 2
    return labels


def answers(labels):
    """What the engine will say: object 5 a few rows too low, object 2 a column too narrow per frame."""
    found = np.zeros_like(labels)
    for t, ids in enumerate(labels):
        found[t][np.roll(ids == 5, t, axis=0)] = 5
        narrow = ids == 2
        narrow[:, 47 - t :] = False
        found[t][narrow] = 2
    return found


class Known:
    """An engine that knows every answer; a frame says by its red which it is. `asked` keeps what was given to it."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def working_size(self, size):
        return size

    def start(self, frame, labels, seed=0):
        video = KnownVideo(self)
        self.seed = seed
        self.asked.append((int(frame[0, 0, 0]), labels))
        video.ids += [int(i) for i in np.unique(labels) if i]
        return video


class KnownVideo:
    def __init__(self, engine):
        self.engine, self.ids, self.frame_index = engine, [], 0

    def step(self, frame, new_labels=None):
        self.frame_index += 1
        self.engine.asked.append((int(frame[0, 0, 0]), new_labels))
        self.answer = self.engine.answers[frame[0, 0, 0]].copy()
        if new_labels is not None:
            self.answer[new_labels > 0] = new_labels[new_labels > 0]
        return torch.from_numpy(self.answer)


def make(root, labels, annotated=None, **attributes):
    """A video whose frame t has red t, and its annotations."""
    frames = np.full((len(labels), *SIZE, 3), 99, np.uint8)
    frames[..., 0] = np.arange(len(labels))[:, None, None]
    save_frames(root / "frames", frames)
    (root / "masks").mkdir(parents=True)
    for t in annotated if annotated is not None else range(len(labels)):
        write_mask(root / "masks" / f"{t:05d}.png", labels[t])
    return AnnotatedVideo("v", root / "frames", root / "masks", **attributes)


def masks(folder):
    """What lies in a folder of masks, by frame: read with Pillow."""
    return {int(p.stem): np.asarray(Image.open(p)) for p in sorted(folder.glob("*.png"))}


def test_a_late_object_is_given_written_and_scored(tmp_path):
    """It is scored from the frame after its own on; in its own frame the mask on disk has it as it was given."""
    labels = boxes()
    found = answers(labels)
    engine = Known(found)
    scorer, seconds = run_sequence(engine, make(tmp_path, labels, drop_last=False), seed=7, folder=tmp_path / "out")
    assert engine.seed == 7 and [t for t, _ in engine.asked] == list(range(6)) and seconds > 0
    given = {t: ids for t, ids in engine.asked if ids is not None}
    assert list(given) == [0, 2] and np.array_equal(given[2], np.where(labels[2] == 2, 2, 0))
    assert scorer.j[5] == pytest.approx([iou(found[t] == 5, labels[t] == 5) for t in range(1, 6)])
    assert scorer.j[2] == pytest.approx([iou(found[t] == 2, labels[t] == 2) for t in range(3, 6)])
    assert len(set(scorer.j[5] + scorer.j[2])) == 8 and all(0.2 < j < 1 for j in scorer.j[5] + scorer.j[2])
    assert [len(scorer.f[i]) for i in (5, 2)] == [5, 3] and scorer.f[2][2] > scorer.j[2][2]
    written = masks(tmp_path / "out")
    assert list(written) == list(range(6)) and np.array_equal(written[0], labels[0])
    entry = np.where(labels[2] == 2, 2, found[2])
    assert np.array_equal(written[2], entry) and not np.array_equal(entry, found[2])
    assert all(np.array_equal(written[t], found[t]) for t in (1, 3, 4, 5))


def test_seconds_are_those_from_the_first_frame_to_the_last_score(tmp_path, monkeypatch):
    """By a clock that says 100 and then 107.5."""
    says = iter([100.0, 107.5])
    monkeypatch.setattr(scoring, "time", SimpleNamespace(perf_counter=lambda: next(says)))
    labels = boxes(3)
    assert run_sequence(Known(answers(labels)), make(tmp_path, labels))[1] == 7.5


def test_the_last_frame_of_davis_is_written_and_not_scored(tmp_path):
    labels = np.where(boxes() == 5, 5, 0).astype(np.uint8)
    found = answers(labels)
    scorer, _ = run_sequence(Known(found), make(tmp_path, labels, drop_last=True), folder=tmp_path / "out")
    assert scorer.j == {5: pytest.approx([iou(found[t] == 5, labels[t] == 5) for t in range(1, 5)])}
    assert len(masks(tmp_path / "out")) == 6


def test_frames_before_the_first_mask_are_not_segmented_and_those_without_a_mask_not_scored(tmp_path):
    labels = boxes()
    found = answers(labels)
    engine = Known(found)
    video = make(tmp_path, labels, annotated=(2, 4), drop_last=False)
    scorer, _ = run_sequence(engine, video, folder=tmp_path / "out")
    assert [t for t, _ in engine.asked] == [2, 3, 4, 5] and list(masks(tmp_path / "out")) == [2, 3, 4, 5]
    assert scorer.j == {i: [pytest.approx(iou(found[4] == i, labels[4] == i))] for i in (2, 5)}
    assert score_results(video, tmp_path / "out").j == scorer.j


def test_all_objects_of_davis_2016_are_one(tmp_path):
    """In what the engine is given, in the annotations and in results of other methods, whatever their ids are."""
    labels = boxes()
    labels[0, 30:38, 30:47] = 2
    video = make(tmp_path, labels, merge=True)
    found = (answers(labels) > 0).astype(np.uint8)
    engine = Known(found)
    scorer, _ = run_sequence(engine, video)
    assert np.array_equal(engine.asked[0][1], (labels[0] > 0).astype(np.uint8))
    expected = [iou(found[t] > 0, labels[t] > 0) for t in range(1, 5)]
    assert scorer.j == {1: pytest.approx(expected)}
    (tmp_path / "results").mkdir()
    for t in range(1, 5):
        write_mask(tmp_path / "results" / f"{t:05d}.png", np.where(answers(labels)[t] == 5, 3, answers(labels)[t]))
    assert score_results(video, tmp_path / "results").j == {1: pytest.approx(expected)}


class Bar:
    def __init__(self):
        self.n = 0

    def update(self, n=1):
        self.n += n


def test_results_are_scored_as_a_run_would_be(tmp_path):
    labels = boxes()
    video = make(tmp_path, labels, drop_last=False)
    bars = Bar(), Bar()
    scorer, _ = run_sequence(Known(answers(labels)), video, folder=tmp_path / "out", bar=bars[0])
    again = score_results(video, tmp_path / "out", bars[1])
    assert again.j == scorer.j and again.f == scorer.f and [b.n for b in bars] == [6, 6]


@pytest.mark.parametrize("drop_last, needed", [(True, [1, 2, 3, 4]), (False, [1, 2, 3, 4, 5])])
def test_results_need_the_masks_that_are_scored_and_no_others(tmp_path, drop_last, needed):
    labels = np.where(boxes() == 5, 5, 0).astype(np.uint8)
    video = make(tmp_path, labels, drop_last=drop_last)
    results = tmp_path / "results"
    results.mkdir()
    for t in needed:
        write_mask(results / f"{t:05d}.png", labels[t])
    assert score_results(video, results).j == {5: [1.0] * len(needed)}
    for t in needed:
        (results / f"{t:05d}.png").unlink()
        with pytest.raises(InputError, match=f"no result for frame 0000{t} of v .*check --results"):
            score_results(video, results)
        write_mask(results / f"{t:05d}.png", labels[t])


def test_masks_of_another_size_are_refused(tmp_path):
    labels = np.where(boxes() == 5, 5, 0).astype(np.uint8)
    video = make(tmp_path, labels)
    write_mask(video.masks / "00003.png", labels[3][:, :50])
    with pytest.raises(InputError, match=r"mask 00003 is 60x40, the annotation 50x40"):
        run_sequence(Known(answers(labels)), video)
    write_mask(video.masks / "00000.png", labels[0][:30])
    with pytest.raises(InputError, match="mask of frame 00000 "):
        run_sequence(Known(answers(labels)), video)


def test_results_of_other_settings_are_not_mixed(tmp_path):
    claim(tmp_path, {"seed": 1, "preset": "fast"})
    assert json.loads((tmp_path / "settings.json").read_text()) == {"seed": 1, "preset": "fast"}
    claim(tmp_path, {"seed": 1, "preset": "fast"})
    with pytest.raises(InputError, match="holds results with preset fast, and this run has best"):
        claim(tmp_path, {"seed": 1, "preset": "best"})


def test_a_folder_of_something_else_is_not_claimed(tmp_path):
    """Such as the annotations, which masks of the same names would replace."""
    (tmp_path / "bear").mkdir()
    with pytest.raises(InputError, match="holds bear, which no run of vosedu made"):
        claim(tmp_path, {"seed": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["bear"]


def test_the_table_has_every_figure_under_its_name():
    result = {
        "J": {"mean": 0.111, "recall": 0.222, "decay": 0.333}, "F": {"mean": 0.444, "recall": 0.555, "decay": 0.666},
        "JF_mean": 0.2775, "fps": 12.345, "youtube_vos": {"G": 0.777, "J_seen": 0.888},
        "sequences": {"long-name": {"J_mean": 0.12, "F_mean": 0.34, "JF_mean": 0.23, "frames": 40, "objects": 3}},
    }
    lines = table(result).splitlines()
    assert lines[0].split() == ["sequence", "frames", "objects", "J", "F", "J&F"]
    assert lines[1].split() == ["long-name", "40", "3", "0.120", "0.340", "0.230"]
    assert lines[2].split() == ["mean", "0.111", "0.444", "0.278"]
    assert lines[3] == "J recall 0.222 decay 0.333, F recall 0.555 decay 0.666, 12.35 frames per second"
    assert lines[4] == "G 0.777, J_seen 0.888"
    assert all(lines[0].index(name) + len(name) == lines[1].index(figure) + len(figure)
               for name, figure in (("frames", "40"), ("objects", "3")))


TURN = (0, 8, 16, 24)
"""Degrees by which the shapes of `crawl` are turned, per frame."""


def crawl():
    """Two textured shapes that move and turn, without symmetry: frames (4, 96, 144, 3) and ids 3 and 8, which enters at 1."""
    rng = np.random.default_rng(0)

    def texture(*colour):
        grain = cv2.resize(rng.normal(0, 35, (8, 12)).astype(np.float32), (144, 96), interpolation=cv2.INTER_CUBIC)
        return np.clip(np.array(colour) + grain[..., None], 0, 255).astype(np.uint8)

    ground, coats = texture(90, 120, 60), {3: texture(205, 60, 50), 8: texture(40, 60, 210)}
    shapes = {3: [(-18, -16), (16, -12), (18, 2), (0, 0), (-6, 18)], 8: [(-16, -12), (4, -18), (20, 14), (-14, 8)]}
    images, labels = [], []
    for t, angle in enumerate(TURN):
        image, ids = ground.copy(), np.zeros((96, 144), np.uint8)
        for i, corners in shapes.items():
            if i == 3 or t >= 1:
                turned = np.array(corners) @ cv2.getRotationMatrix2D((0, 0), angle, 1)[:, :2].T
                where = np.rint(turned + ((32 + 4 * t, 46 + 2 * t) if i == 3 else (102 - 4 * t, 48))).astype(np.int32)
                mask = cv2.fillPoly(np.zeros((96, 144), np.uint8), [where], 1) > 0
                image[mask], ids[mask] = coats[i][mask], i
        images.append(image)
        labels.append(ids)
    return np.stack(images), np.stack(labels)


@pytest.fixture
def ytvos(tmp_path):
    """A data set of two videos in the layout of YouTube-VOS: every second frame of b has an annotation, all of a."""
    images, labels = crawl()
    for name, annotated in (("a", range(4)), ("b", (1, 3))):
        save_frames(tmp_path / "valid" / "JPEGImages" / name, images)
        (tmp_path / "valid" / "Annotations" / name).mkdir(parents=True)
        for t in annotated:
            write_mask(tmp_path / "valid" / "Annotations" / name / f"{t:05d}.png", labels[t])
    objects = {"3": {"category": "cat"}, "8": {"category": "yak"}}
    for split, videos in (("valid", {"a": {"objects": objects}, "b": {"objects": objects}}),
                          ("train", {"z": {"objects": {"1": {"category": "cat"}}}})):
        (tmp_path / split).mkdir(exist_ok=True)
        (tmp_path / split / "meta.json").write_text(json.dumps({"videos": videos}))
    return tmp_path


def evaluate(root, *more):
    return main(["evaluate", "ytvos", "--root", str(root), "--split", "valid", "--quiet", "--device", "cpu", "--samples", "4",
                 "--short-side", "192", "--json", str(root / "result.json"), *map(str, more)])


def test_evaluate_youtube_vos_from_end_to_end(ytvos, capsys):
    """Objects are found; masks, scores, G and frames per second fit together and to what NumPy counts on the disk."""
    _, labels = crawl()
    out = ytvos / "out"
    assert evaluate(ytvos, "--out", out) == 0
    result = json.loads((ytvos / "result.json").read_text())
    written = {name: masks(out / name) for name in "ab"}
    assert list(written["a"]) == [0, 1, 2, 3] and list(written["b"]) == [1, 2, 3]
    assert all(m.shape == (96, 144) for name in "ab" for m in written[name].values())
    assert np.array_equal(written["a"][0], labels[0]) and np.array_equal(written["b"][1], labels[1])
    entry = written["a"][1]
    assert np.array_equal(entry[labels[1] == 8], labels[1][labels[1] == 8]) and (entry == 3).sum() > 100
    scored = {("a", 3): [1, 2, 3], ("a", 8): [2, 3], ("b", 3): [3], ("b", 8): [3]}  # not in the frame where they are given
    j = {key: np.mean([iou(written[key[0]][t] == key[1], labels[t] == key[1]) for t in ts]) for key, ts in scored.items()}
    assert min(j.values()) > 0.3
    rows, g = result["sequences"], result["youtube_vos"]
    for name in "ab":
        assert rows[name]["J_mean"] == pytest.approx((j[name, 3] + j[name, 8]) / 2)
        assert (rows[name]["frames"], rows[name]["objects"]) == (4, 2)
    assert result["J"]["mean"] == pytest.approx(np.mean(list(j.values())))
    assert g["J_seen"] == pytest.approx((j["a", 3] + j["b", 3]) / 2)
    assert g["J_unseen"] == pytest.approx((j["a", 8] + j["b", 8]) / 2)
    assert g["G"] == pytest.approx(np.mean([g[k] for k in ("J_seen", "J_unseen", "F_seen", "F_unseen")]))
    kept = {name: json.loads((out / f"{name}.json").read_text()) for name in "ab"}
    assert result["fps"] == pytest.approx(8 / (kept["a"]["seconds"] + kept["b"]["seconds"]))
    said = capsys.readouterr().out
    assert f"G {g['G']:.3f}" in said and f"{result['fps']:.2f} frames per second" in said
    # again: nothing is segmented, the figures are the same; and so they are from the masks alone
    for name in "ab":
        for path in (out / name).iterdir():
            path.unlink()
    assert evaluate(ytvos, "--out", out) == 0
    assert json.loads((ytvos / "result.json").read_text()) == result
    for name, found in written.items():
        for t, ids in found.items():
            write_mask(out / name / f"{t:05d}.png", ids)
    assert evaluate(ytvos, "--results", out) == 0
    scored = json.loads((ytvos / "result.json").read_text())
    assert scored["youtube_vos"] == pytest.approx(g) and scored["fps"] is None
    assert [scored[m][k] for m in "JF" for k in ("mean", "recall", "decay")] == pytest.approx(
        [result[m][k] for m in "JF" for k in ("mean", "recall", "decay")])


def kept(seconds, j, f):
    return json.dumps({"seconds": seconds, "J": j, "F": f})


def test_what_a_resumed_run_says_is_what_was_kept(ytvos):
    """Scores and seconds of an earlier run, all different: J stays J, and 8 frames in 5 seconds are 1.6 per second."""
    out = ytvos / "out"
    out.mkdir()
    (out / "a.json").write_text(kept(2.0, {"3": [0.9, 0.7, 0.8], "8": [0.2, 0.4]}, {"3": [0.3, 0.1, 0.2], "8": [0.6, 0.8]}))
    (out / "b.json").write_text(kept(3.0, {"3": [0.5], "8": [1.0]}, {"3": [0.25], "8": [0.0]}))
    assert evaluate(ytvos, "--out", out) == 0
    result = json.loads((ytvos / "result.json").read_text())
    assert result["fps"] == pytest.approx(1.6)
    assert result["J"]["mean"] == pytest.approx((0.8 + 0.3 + 0.5 + 1.0) / 4)
    assert result["F"]["mean"] == pytest.approx((0.2 + 0.7 + 0.25 + 0.0) / 4)
    assert result["sequences"]["a"]["J_mean"] == pytest.approx(0.55) and result["sequences"]["a"]["objects"] == 2
    assert result["youtube_vos"] == pytest.approx({"G": (0.65 + 0.65 + 0.225 + 0.35) / 4, "J_seen": 0.65, "J_unseen": 0.65,
                                                   "F_seen": 0.225, "F_unseen": 0.35})
    assert not (out / "a").exists()


@pytest.mark.parametrize("content", [
    "{}", kept("soon", {"3": [0.5]}, {"3": [0.5]}), kept(1, {"3": [0.5, 0.5]}, {"3": [0.5]}),
    kept(1, {"3": [0.5]}, {"8": [0.5]}), kept(1, {"3": [1.5]}, {"3": [0.5]}), kept(1, {"3": [0.5]}, {"3": [-0.1]}),
    kept(1, {"3": [float("nan")]}, {"3": [0.5]}), kept(1, [0.5], [0.5]), kept(1, {"x": [0.5]}, {"x": [0.5]}),
])
def test_kept_scores_that_cannot_be_are_refused(ytvos, capsys, content):
    (ytvos / "out").mkdir()
    (ytvos / "out" / "a.json").write_text(content)
    assert evaluate(ytvos, "--out", ytvos / "out", "--sequences", "a") == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert "a.json does not hold the scores of a sequence: delete it" in err


def test_objects_enter_at_the_size_of_the_video_whatever_the_engine_works_at(ytvos):
    """The bundled engine at half the rows: the mask of the entry frame is the one that was given, pixel for pixel."""
    _, labels = crawl()
    assert evaluate(ytvos, "--out", ytvos / "small", "--sequences", "a", "--short-side", "64", "--preset", "fast") == 0
    found = masks(ytvos / "small" / "a")
    assert np.array_equal(found[1] == 8, labels[1] == 8) and all(set(np.unique(m)) <= {0, 3, 8} for m in found.values())
    (video,) = load("ytvos", ytvos, "valid", ["a"])
    assert score_results(video, ytvos / "small" / "a").first_frames == {3: 0, 8: 1}
