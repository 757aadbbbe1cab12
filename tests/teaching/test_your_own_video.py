"""Notebook 09: the studio from painting to files, and the scene editor's clips, without a browser."""

import base64
import copy
import io
import re
import time
import zipfile
from dataclasses import replace
from datetime import datetime, timezone

import cv2
import numpy as np
import pytest
from helpers import save_frames
from PIL import Image
from teaching.seeing import is_described

from vosedu.config import BEST
from vosedu.files.images import image_files, read_mask, to_size, write_mask
from vosedu.teaching import your_own_video
from vosedu.teaching.your_own_video import SceneEditor, Studio, download_link


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A textured L that moves to the right over another texture: a folder of six frames of 96 x 128, and the ids."""
    rng = np.random.default_rng(0)
    ground, coat = (np.kron(rng.integers(low, high, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
                    for low, high in ((40, 100), (150, 250)))
    frames, labels = [], []
    for t in range(6):
        ids = np.zeros((96, 128), np.uint8)
        ids[20:68, 20 + 6 * t : 40 + 6 * t] = ids[48:68, 20 + 6 * t : 64 + 6 * t] = 1
        frames.append(np.where(ids[..., None] > 0, np.roll(coat, 6 * t, 1), ground))
        labels.append(ids)
    folder = tmp_path_factory.mktemp("videos") / "my clip"
    return save_frames(folder, frames, [f"{k:03d}.png" for k in range(6)]), np.stack(labels)


def painted(studio, labels):
    """The first mask at the size that is painted on."""
    return to_size(labels[0], studio.painter.labels.shape)


@pytest.fixture(scope="module")
def ran(clip, tmp_path_factory):
    """A studio after a run, its folder, and the seconds that the run took."""
    folder, labels = clip
    out = tmp_path_factory.mktemp("out")
    studio = Studio(folder, out, device="cpu")
    studio.painter.labels = painted(studio, labels)
    began = time.perf_counter()
    studio.buttons[1].click()
    return studio, out, time.perf_counter() - began


def j(found, truth):
    """Intersection over union of ids 1, counted."""
    return ((found == 1) & (truth == 1)).sum() / ((found == 1) | (truth == 1)).sum()


def test_an_empty_painting_is_refused_in_words(clip, tmp_path):
    studio = Studio(clip[0], tmp_path, device="cpu")
    assert is_described(studio.widget) and studio.preset.value == "best" and studio.short_side.value == 240
    studio.buttons[1].click()
    assert "painting" in studio.note.value and studio.player is None and not studio.buttons[1].disabled


def test_a_run_writes_what_was_painted_and_what_was_found(clip, ran):
    (_, labels), (studio, out, seconds) = clip, ran
    masks = image_files(out / "my clip-masks")
    assert [p.stem for p in masks] == [f"{k:03d}" for k in range(6)]
    assert np.array_equal(read_mask(masks[0]), labels[0])
    assert np.array_equal(read_mask(out / "my clip-painted.png"), labels[0])
    assert all(j(read_mask(path), truth) > 0.6 for path, truth in zip(masks, labels, strict=True)), "the L is followed"
    frames, objects, speed = re.match(r"(\d+) frames, (\d+) objects, ([\d.]+) frames per second", studio.note.value).groups()
    assert (frames, objects) == ("6", "1") and float(speed) >= 6 / seconds - 0.05, "not seconds per frame"
    assert (studio.bar.value, studio.bar.max) == (6, 6) and not any(button.disabled for button in studio.buttons)


def test_a_run_is_shown_from_its_second_frame_on(clip, ran):
    (folder, labels), (studio, _, _) = clip, ran
    player = studio.player
    assert len(player.frames) == len(player.scores) == len(player.labels) == 5
    size = player.frames[0].shape[1::-1]
    given = [cv2.resize(np.asarray(Image.open(path)), size).astype(int) for path in image_files(folder)]
    for k in range(5):
        assert int(np.argmin([np.abs(player.frames[k] - frame).mean() for frame in given])) == k + 1
    assert studio.stage.children == (player.widget,) and is_described(studio.widget)
    for k in range(5):
        truth = to_size(labels[k + 1], player.labels[k].shape)
        assert j(player.labels[k], truth) > 0.6 and player.frames[k][truth > 0].mean() > 150
        cells = to_size(labels[k + 1], player.scores[k].shape) > 0
        assert player.scores[k][cells].mean() > 0.4 > player.scores[k][~cells].mean() + 0.2


def test_what_the_browser_can_save(ran):
    studio, out, _ = ran
    film, masks = out / "my clip-overlay.mp4", image_files(out / "my clip-masks")
    links = dict(re.findall(r'download="([^"]+)" href="data:application/octet-stream;base64,([^"]+)"', studio.links.value))
    assert set(links) == {"my clip-masks.zip", "my clip-overlay.mp4"}
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(links["my clip-masks.zip"]))) as archive:
        assert archive.namelist() == [p.name for p in masks] and archive.read("000.png") == masks[0].read_bytes()
    assert base64.b64decode(links["my clip-overlay.mp4"]) == film.read_bytes() and film.stat().st_size > 1000


def test_a_video_that_is_opened_anew_has_nothing_to_save_yet(clip, tmp_path):
    studio = Studio(clip[0], tmp_path, device="cpu")
    studio.painter.labels = painted(studio, clip[1])
    studio.links.value, studio.player, studio.bar.value, studio.stage.children = "old", "old", 3, [studio.bar]
    before = studio.painter
    studio.short_side.value = 360
    assert studio.links.value == "" and studio.player is None and studio.bar.value == 0 and studio.stage.children == ()
    assert studio.painter is not before and studio.canvas.children == (studio.painter,) and not studio.painter.labels.any()


def test_what_enters_later_is_painted_where_it_enters(clip, tmp_path, monkeypatch):
    """Frames are turned to and back; what was painted in each goes to the engine under its number."""
    folder, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    assert (studio.at.value, studio.at.max) == (0, 5) and studio.painted() == {}
    one = painted(studio, labels)
    studio.painter.labels = one
    first = studio.painter
    studio.at.value = 3
    assert studio.painter is not first and not studio.painter.labels.any() and "frame 0" in studio.note.value
    assert np.abs(studio.painter.frame.astype(int) - first.frame).mean() > 5, "another frame is under the brush"
    two = np.zeros_like(one)
    two[:40, -60:] = 2
    studio.painter.labels = two
    studio.at.value = 5
    studio.at.value = 0
    assert np.array_equal(studio.painter.labels, one) and sorted(studio.painted()) == [0, 3]
    given = []
    monkeypatch.setattr(your_own_video, "segment_video", lambda _segmenter, _source, masks, *_: given.append(masks) or iter(()))
    monkeypatch.setattr(your_own_video, "Player", lambda *_: 1 / 0)  # the masks are what counts here
    with pytest.raises(ZeroDivisionError):
        studio.run()
    size = labels.shape[1:]
    assert given[0].keys() == {0, 3} and all(np.array_equal(given[0][k], to_size(m, size)) for k, m in ((0, one), (3, two)))
    assert np.array_equal(read_mask(tmp_path / "out" / "my clip-painted-003.png"), to_size(two, size))
    studio.painter.labels = np.zeros_like(one)
    assert list(studio.painted()) == [3], "what is wiped out is not painted"
    studio.short_side.value = 360
    assert studio.painted() == {} and studio.at.value == 0


def test_the_run_begins_with_the_first_painted_frame(clip, tmp_path):
    folder, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    seen = []
    monkey = your_own_video.Live.show
    studio.at.value = 3
    studio.painter.labels = to_size(labels[3], studio.painter.labels.shape)
    try:
        your_own_video.Live.show = lambda live, shown: seen.append((shown.index, studio.stage.children)) or monkey(live, shown)
        studio.run()
    finally:
        your_own_video.Live.show = monkey
    assert [index for index, _ in seen] == [3, 4, 5] and isinstance(seen[1][1][0], your_own_video.Live), "shown as they come"
    assert len(studio.player.frames) == 2 and (studio.bar.value, studio.bar.max) == (3, 3)
    assert [p.stem for p in image_files(tmp_path / "out" / "my clip-masks")] == ["003", "004", "005"]


@pytest.mark.parametrize("preset", ["best", "fast", "paper"])
def test_the_chosen_preset_and_the_painting_go_to_the_engine(clip, tmp_path, monkeypatch, preset):
    class Stop(Exception):
        pass

    asked = []

    def from_pretrained(name, **options):
        asked.append((name, options))
        raise Stop

    folder, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    monkeypatch.setattr(your_own_video.Segmenter, "from_pretrained", from_pretrained)
    studio.painter.labels = painted(studio, labels)
    studio.preset.value = preset
    with pytest.raises(Stop):
        studio.run()
    assert asked[0][0] == "compact" and asked[0][1]["config"] == your_own_video.PRESETS[preset]
    assert asked[0][1]["device"] == "cpu"


def test_snapping_is_of_what_is_painted(clip, tmp_path, monkeypatch):
    folder, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    rough = painted(studio, labels)
    studio.painter.labels = rough
    given = []
    monkeypatch.setattr(your_own_video, "snap", lambda *pair: given.append(pair) or np.flipud(pair[1]).copy())
    studio.buttons[0].click()
    (frame, found), = given
    assert frame is studio.painter.frame and np.array_equal(found, rough)
    assert np.array_equal(studio.painter.labels, np.flipud(rough))


def test_studio_says_what_is_wrong_with_a_path_and_takes_an_uploaded_mask(clip, tmp_path):
    folder, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    studio.source.value = str(tmp_path / "nothing.mp4")
    assert "nothing.mp4" in studio.note.value and not studio.buttons[0].disabled
    studio.source.value = str(folder)
    assert "Paint" in studio.note.value
    write_mask(tmp_path / "m.png", labels[0])
    content = memoryview((tmp_path / "m.png").read_bytes())
    studio.upload.value = ({"name": "../../m.png", "type": "image/png", "size": len(content), "content": content,
                           "last_modified": datetime.now(timezone.utc)},)
    assert np.array_equal(studio.painter.labels, painted(studio, labels))
    assert studio.painter.labels.any()
    assert (tmp_path / "out" / "m.png").exists(), "the upload's name cannot lead out of the folder"
    (tmp_path / "out" / "m.png").write_text("mine")
    studio.upload.value = ({**studio.upload.value[0], "last_modified": datetime(2020, 1, 1, tzinfo=timezone.utc)},)
    assert "m.png is there already" in studio.note.value and (tmp_path / "out" / "m.png").read_text() == "mine"


def test_links(tmp_path, monkeypatch):
    for name, content in (("film.mp4", b"1234"), ("b.png", b"56")):
        (tmp_path / name).write_bytes(content)
    link = download_link("the film", [tmp_path / "film.mp4"])
    assert link.endswith(">the film</a>") and 'download="film.mp4"' in link and base64.b64encode(b"1234").decode() in link
    monkeypatch.setattr(your_own_video, "LARGEST_LINK", 4)
    assert "href" in download_link("the film", [tmp_path / "film.mp4"]), "just as large as it may be"
    both = download_link("both", [tmp_path / "film.mp4", tmp_path / "b.png"])
    assert "href" not in both and str(tmp_path) in both and "both" in both, "too large: it says where they are"


@pytest.fixture(scope="module")
def editor(segmenter):
    quick = copy.copy(segmenter)
    quick.config = replace(BEST, samples=4, channels=16)
    return SceneEditor(quick, length=7, height=96)


@pytest.fixture()
def plain(editor):
    """The editor with its controls as at first."""
    editor.target.value, editor.likeness.value, editor.cover.value, editor.light.value = 3, 0, 0, 1
    return editor


def other_than(frames, backdrop):
    """Where each frame is not the backdrop."""
    return np.abs(frames.astype(int) - backdrop).max(axis=3) > 8


def test_a_target_walks_to_the_right_over_the_backdrop(plain):
    frames, masks = plain.clip()
    assert frames.shape == (7, 96, 171, 3) and masks.shape == (7, 96, 171) and set(np.unique(masks)) == {0, 1}
    middles = [np.nonzero(mask)[1].mean() / 171 for mask in masks]
    assert np.allclose(middles, np.linspace(0.2, 0.8, 7), atol=0.05)
    changed = other_than(frames, plain.backdrop)
    for t in range(7):
        grown = np.zeros((96, 171), bool)
        ys, xs = np.nonzero(masks[t])
        grown[max(0, ys.min() - 3) : ys.max() + 4, max(0, xs.min() - 3) : xs.max() + 4] = True
        assert not (changed[t] & ~grown).any() and changed[t][masks[t] > 0].mean() > 0.8
    sizes = masks.sum(axis=(1, 2))
    plain.target.value = 1
    assert abs(plain.clip()[1].sum(axis=(1, 2)) - sizes).min() > 10, "another toy has another shape"


def test_a_pillar_hides_the_target_in_the_middle(plain):
    plain.cover.value = 1.5
    frames, masks = plain.clip()
    assert masks[3].sum() == 0 < masks[0].sum() and masks[6].sum() > 0
    assert np.ptp(frames[:, 40, 85], axis=0).max() == 0, "the pillar stands still"
    assert (np.ptp(frames[3, 40, 84:87].astype(int), axis=-1) == 0).all(), "and is grey"


def test_light_changes_towards_the_end(plain):
    before = plain.clip()[0].astype(float)
    plain.light.value = 0.5
    ratio = plain.clip()[0].mean(axis=(1, 2, 3)) / before.mean(axis=(1, 2, 3))
    assert np.allclose(ratio, np.linspace(1, 0.5, 7), atol=0.02)
    plain.light.value = 1.6
    assert plain.clip()[0][-1].mean() > 1.2 * before[-1].mean()


def test_a_look_alike_walks_the_other_way_and_becomes_a_twin(plain):
    alone, masks = plain.clip()
    distances = []
    target = alone[0][masks[0] > 0].mean(axis=0)
    for likeness in (0.1, 0.5, 1.0):
        plain.likeness.value = likeness
        frames, same = plain.clip()
        assert np.array_equal(same, masks), "the target's masks are as they were"
        second = (np.abs(frames.astype(int) - alone).max(axis=3) > 8) & (masks == 0)
        middles = [np.nonzero(part)[1].mean() for part in second]
        assert middles[0] > 120 > middles[-1] + 40, "to the left"
        distances.append(np.abs(frames[0][second[0]].mean(axis=0) - target).max())
    assert distances[2] < 12 < distances[0] and distances[1] < distances[0]


def test_a_run_is_scored_and_opens_at_its_worst_frame(segmenter):
    quick = copy.copy(segmenter)
    quick.config = replace(BEST, samples=5, channels=32)
    editor = SceneEditor(quick, length=6, height=240)
    editor.cover.value = 1.0
    editor.button.click()
    frames, masks = editor.clip()
    player = editor.player
    assert len(player.frames) == len(editor.scores) == 5 and not editor.button.disabled
    for k in range(5):
        assert np.abs(player.frames[k].astype(int) - frames[k + 1]).mean() < 4  # it is kept as JPEG
        assert editor.scores[k] == pytest.approx(j(player.labels[k], masks[k + 1]))
        cells = to_size(masks[k + 1], player.scores[k].shape) > 0
        assert player.scores[k][cells].mean() > player.scores[k][~cells].mean()
    assert max(editor.scores) > 0.5 and len(set(editor.scores)) == 5
    worst = editor.scores.index(min(editor.scores))
    assert player.index.value == worst
    mean = sum(editor.scores) / 5
    assert editor.note.value == f"J {mean:.2f}; lowest in frame {worst + 1}: {min(editor.scores):.2f}"
    assert editor.stage.children == (player.widget,) and is_described(editor.widget)


def test_the_editor_says_when_settings_are_not_applied_yet(plain):
    plain.note.value = "J 0.90; lowest in frame 3: 0.80"
    plain.light.value = 0.7
    assert "not applied yet" in plain.note.value and "press Apply" in plain.note.value
