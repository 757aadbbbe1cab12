"""run.json: what it holds, when two runs are one, when one is complete, and how a folder of masks is taken up."""

import hashlib
import json
import os
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from helpers import save_frames
from PIL import Image

from vosedu.commands.record import NAME, Run
from vosedu.errors import InputError
from vosedu.files.frames import FrameSource
from vosedu.files.images import write_mask

RUN = Run("/videos/a.mp4", "/videos/a.png", {"preset": "fast", "weights": ["/w.pt"], "eta": 0.1},
          {"input": "aa", "masks": "bb", "weights": {"w.pt": "cc"}}, {"torch": "2.9"}, "x86 cpu, 2 threads", 2)
DONE = replace(RUN, sha256={**RUN.sha256, "output": "dd"}, finished=True, frames=3, objects=2, seconds=4.5,
               stages={"memory": 0.5})


@pytest.fixture
def source(tmp_path):
    """Three frames in a folder."""
    return FrameSource(save_frames(tmp_path / "frames", np.zeros((3, 32, 40, 3), np.uint8)))


@pytest.fixture
def out(tmp_path):
    """A folder with three masks that are all different."""
    (tmp_path / "out").mkdir()
    for t in range(3):
        mask = np.zeros((32, 40), np.uint8)
        mask[4:20, 3 + 5 * t : 20] = 1 + t
        write_mask(tmp_path / "out" / f"{t:05d}.png", mask)
    return tmp_path / "out"


@pytest.mark.parametrize("run", [RUN, DONE])
def test_what_is_written_is_read(tmp_path, run):
    run.write(tmp_path / NAME)
    assert Run.read(tmp_path / NAME) == run
    assert json.loads((tmp_path / NAME).read_text()) == asdict(run)
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("field", [f.name for f in fields(Run)])
def test_a_field_that_is_missing_or_of_another_kind_is_named(tmp_path, field):
    path = tmp_path / NAME
    absent = {k: v for k, v in asdict(DONE).items() if k != field}
    for changed in ([absent] if field != "made" else []) + [{**asdict(DONE), field: None}]:  # earlier runs have no `made`
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError, match=f"no usable '{field}', so `segment` did not write it") as caught:
            Run.read(path)
        assert str(path) in str(caught.value)
    path.write_text(json.dumps({**asdict(DONE), "of a later version": 1}))
    assert Run.read(path) == DONE


def test_two_runs_are_one_where_all_that_decides_the_masks_is_equal():
    """Where files lie, what they ran on and how far they came do not count; files of weights count by what they hold."""
    same = replace(DONE, input="/b.mp4", masks="/b.png", versions={}, machine="arm", threads=9,
                   settings={**RUN.settings, "weights": ["/elsewhere/w.pt"]})
    assert same.identity() == RUN.identity()
    for other in (replace(RUN, settings={**RUN.settings, "eta": 0.2}), replace(RUN, sha256={**RUN.sha256, "input": "ab"}),
                  replace(RUN, sha256={**RUN.sha256, "masks": "ab"}),
                  replace(RUN, sha256={**RUN.sha256, "weights": {"w.pt": "ab"}})):
        assert other.identity() != RUN.identity()


def test_machine_and_versions_that_differ_are_said():
    assert RUN.elsewhere(DONE) == ""
    now = replace(RUN, machine="arm mps", versions={"torch": "3.0", "numpy": "2"})
    assert RUN.elsewhere(now) == "machine x86 cpu, 2 threads (now arm mps), torch 2.9 (now 3.0), numpy None (now 2)"


def test_a_repetition_with_something_else_is_refused(tmp_path):
    DONE.refuse_unless_repeated(replace(RUN, input="/b.mp4", machine="arm"), tmp_path)
    for other, words in ((replace(RUN, settings={**RUN.settings, "eta": 0.2}), "eta 0.1, and now it is 0.2"),
                         (replace(RUN, sha256={**RUN.sha256, "masks": "x"}), r"masks \(SHA-256\) bb, and now it is x")):
        with pytest.raises(InputError, match=f"was written with {words}: restore what it names"):
            DONE.refuse_unless_repeated(other, tmp_path)


def test_a_run_is_complete_with_its_end_and_all_of_its_masks(source, out):
    assert DONE.complete(out, source)
    assert not replace(DONE, finished=False).complete(out, source)
    assert not replace(DONE, frames=0).complete(out, source) and not replace(DONE, frames=4).complete(out, source)
    assert replace(DONE, frames=2).complete(out, source)
    (out / "00002.png").unlink()
    assert not DONE.complete(out, source) and replace(DONE, frames=2).complete(out, source)
    source.is_video = True  # the number of frames of a video file is known only at the end
    write_mask(out / "00002.png", np.ones((32, 40), np.uint8))
    write_mask(out / "00003.png", np.ones((32, 40), np.uint8))
    assert replace(DONE, frames=4).complete(out, source)


def test_an_empty_folder_is_taken_and_leftovers_are_removed(tmp_path, source):
    (tmp_path / ".vosedu-00003-abcdefgh.png").write_bytes(b"half")
    begun = RUN.taken_up(tmp_path, source)
    assert begun == RUN and not (tmp_path / NAME).exists()
    begun.begin(tmp_path)
    assert Run.read(tmp_path / NAME) == RUN
    assert not list(tmp_path.glob(".vosedu-*"))


def test_a_folder_of_the_same_run_is_taken_up(out, source):
    """Where it was finished with all masks, its checkpoint goes; where a mask is gone, it is not finished any more."""
    replace(DONE, machine="arm").write(out / NAME)
    (out / "checkpoint.safetensors").write_bytes(b"state")
    taken = RUN.taken_up(out, source)
    taken.begin(out)
    assert taken == replace(DONE, machine="arm") and not (out / "checkpoint.safetensors").exists()
    (out / "00001.png").unlink()
    (out / "checkpoint.safetensors").write_bytes(b"state")
    taken = RUN.taken_up(out, source)
    assert taken == replace(DONE, machine="arm", finished=False) != Run.read(out / NAME)
    taken.begin(out)
    assert taken == Run.read(out / NAME) and (out / "checkpoint.safetensors").exists()
    assert RUN.taken_up(out, source) == taken


@pytest.mark.parametrize(("before", "words"), [
    (replace(RUN, settings={**RUN.settings, "eta": 0.2}), "eta 0.2, and this run has 0.1"),
    (replace(RUN, settings={**RUN.settings, "more": 1}), "more 1, and this run has None"),
    (replace(RUN, sha256={**RUN.sha256, "input": "x"}), r"input \(SHA-256\) x, and this run has aa"),
])
def test_a_folder_of_another_run_is_refused_and_left(out, source, before, words):
    before.write(out / NAME)
    with pytest.raises(InputError, match=f"{words}: choose another --out"):
        RUN.taken_up(out, source)
    assert Run.read(out / NAME) == before and len(list(out.glob("*.png"))) == 3


def test_a_folder_in_which_something_has_the_name_of_a_mask_is_refused(source, out):
    """Whatever its case, for not all systems tell such names apart; a given mask may lie there, and other files may."""
    (out / "00000.png").rename(out / "notes.png")
    (out / "00001.png").unlink()
    (out / "00002.png").rename(out / "00002.PNG")
    with pytest.raises(InputError, match=r"holds 00002\.PNG, which no run of vosedu made"):
        RUN.taken_up(out, source)
    assert RUN.taken_up(out, source, standing={out / "00002.PNG"}) == RUN
    (out / "00002.PNG").rename(out / "12345.png")
    assert RUN.taken_up(out, source) == RUN
    source.is_video = True  # any number may be a frame
    with pytest.raises(InputError, match=r"holds 12345\.png"):
        RUN.taken_up(out, source)


def test_masks_that_were_changed_after_the_end_are_not_made_anew(source, out):
    DONE.write(out / NAME)
    (out / "00001.png").unlink()
    assert not RUN.taken_up(out, source).finished
    ended = (out / NAME).stat().st_mtime
    os.utime(out / "00002.png", (ended + 60, ended + 60))
    with pytest.raises(InputError, match=r"00002\.png was changed after its run had ended"):
        RUN.taken_up(out, source)
    assert not RUN.taken_up(out, source, standing={out / "00002.png"}).finished


def test_what_is_made_beside_the_masks_is_noted(tmp_path):
    (tmp_path / "film").write_bytes(b"abc")
    now = replace(RUN, made=["00"]).making(tmp_path, tmp_path / "film")
    assert now.made == sorted(["00", hashlib.sha256(b"abc").hexdigest()]) and Run.read(tmp_path / NAME) == now


def test_a_mask_that_was_given_counts_as_if_it_had_been_written(source, out):
    """Object 1 as 255 in grey: the digest is that of a run that wrote all masks itself."""
    right = RUN.end(out, source, 2, 3, 4.5, {})
    ids = np.asarray(Image.open(out / "00000.png"))
    Image.fromarray(ids * 255).save(out / "00000.png")
    given = RUN.end(out, source, 2, 3, 4.5, {}, standing={out / "00000.png"})
    assert given == right != RUN.end(out, source, 2, 3, 4.5, {})


def test_at_its_end_a_run_says_what_it_made(out, source):
    """The output's digest is that of what sha256sum prints for the masks, in the order of the frames."""
    done = RUN.end(out, source, objects=2, frames=3, seconds=4.5, stages={"memory": 0.5})
    lines = "".join(f"{hashlib.sha256((out / n).read_bytes()).hexdigest()}  {n}\n" for n in (f"{t:05d}.png" for t in range(3)))
    assert done == replace(DONE, sha256={**RUN.sha256, "output": hashlib.sha256(lines.encode()).hexdigest()})
    assert Run.read(out / NAME) == done and done.complete(out, source)
