"""What users bring and what they already have: nothing of theirs is replaced, and what they mean is understood or asked for.

Each test makes its own input. `everything` is what lies in a folder, so that a loss of any kind shows.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers import QUICK, ROOM, assert_clip_found, assert_found, moving_shapes, save_frames
from PIL import Image

from vosedu.commands import main
from vosedu.files.films import OverlayWriter
from vosedu.files.images import read_image, read_mask, write_mask

FAST = [*QUICK, "--no-refinement", "--cg-update", "0"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """`clip` of five frames, `clip.mp4` of the same, `first.png`, and this folder as the current one."""
    frames, labels = moving_shapes(5, ROOM, objects=2)
    save_frames(tmp_path / "clip", frames)
    write_mask(tmp_path / "first.png", labels[0])
    with OverlayWriter(tmp_path / "clip.mp4", 12, ROOM) as film:
        for frame in frames:
            film.add(frame)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def segment(*words):
    return main(["segment", *map(str, words), *FAST])


def everything(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder or dead link"
            for p in folder.rglob("*")}


def assert_refused(folder, capsys, words, *said):
    """Exit status 2 and one line with these words, and nothing in the folder is other than before."""
    before = everything(folder)
    capsys.readouterr()
    assert segment(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith("vosedu: ") and err.count("\n") == 1 and all(text in err for text in said), err
    assert everything(folder) == before


def lines(capsys):
    return capsys.readouterr().err.splitlines()


# What is there is kept


@pytest.mark.parametrize("out", ["clip", "clip/", "./clip/../clip", "link", "CLIP"])
def test_masks_do_not_go_among_the_frames(home, capsys, out):
    (home / "link").symlink_to("clip", target_is_directory=True)
    assert_refused(home, capsys, ["clip", "--masks", "first.png", "--out", out], "--out", "folder of the frames")


@pytest.mark.parametrize("flag", ["--overlay", "--cut-out", "--sheet", "--coco"])
@pytest.mark.parametrize("kind", ["a file", "a link", "a hard link", "a dead link", "a folder", "another case"])
def test_an_output_replaces_nothing_that_is_there(home, capsys, flag, kind):
    path = home / {"--overlay": "o.mp4", "--cut-out": "c.mov", "--sheet": "s.png", "--coco": "a.json"}[flag]
    (home / "mine").write_bytes(b"mine")
    if kind == "a file":
        path.write_bytes(b"mine")
    elif kind == "another case":
        path.with_name(path.name.upper()).write_bytes(b"mine")
    elif kind == "a hard link":
        os.link(home / "mine", path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to(home / ("mine" if kind == "a link" else "nothing"))
    assert_refused(home, capsys, ["clip", "--masks", "first.png", flag, path.name], flag, "is there already")


@pytest.mark.parametrize(("words", "said"), [
    (["clip.mp4", "--overlay", "clip.mp4"], "--overlay clip.mp4 is an input"),
    (["clip.mp4", "--overlay", "sub/../clip.mp4"], "is an input"), (["clip.mp4", "--overlay", "link.mp4"], "is an input"),
    (["clip.mp4", "--overlay", "Clip.MP4"], "is an input"), (["clip", "--sheet", "first.png"], "--sheet first.png is an input"),
    (["clip", "--sheet", "clip/00002.png"], "is an input"), (["clip", "--sheet", "clip/sheet.png"], "would be taken for one"),
    (["clip", "--out", "m", "--sheet", "m/00003.png"], "that the masks in m need"),
    (["clip", "--out", "m", "--sheet", "m/00003.PNG"], "that the masks in m need"),
    (["clip", "--out", "m", "--coco", "m/run.json"], "that the masks in m need"),
    (["clip.mp4", "--out", "m", "--sheet", "m/00003.png"], "that the masks in m need"),
    (["clip", "--overlay", "a.webm", "--cut-out", "A.webm"], "are one file"),
])
def test_an_output_is_no_input_and_no_other_output(home, capsys, words, said):
    (home / "sub").mkdir()
    (home / "link.mp4").symlink_to("clip.mp4")
    assert_refused(home, capsys, [*words, "--masks", "first.png"], said)


@pytest.mark.parametrize("name", ["00003.png", "00003.PNG", "checkpoint.safetensors"])
@pytest.mark.parametrize("source", ["clip", "clip.mp4"])
def test_masks_that_no_run_made_are_kept(home, capsys, name, source):
    """Hand-made masks without run.json, of which the first is given or not."""
    (home / "mine").mkdir()
    shutil.copy("first.png", home / "mine" / name)
    assert_refused(home, capsys, [source, "--masks", "first.png", "--out", "mine"], f"holds {name}", "choose another --out")
    shutil.copy("first.png", home / "mine" / "00000.png")
    assert_refused(home, capsys, [source, "--masks", "mine/00000.png", "--out", "mine"], f"holds {name}")


def test_a_folder_of_masks_that_are_given_is_kept(home, capsys):
    labels = moving_shapes(5, ROOM, objects=2)[1]
    (home / "given").mkdir()
    for t in (0, 3):
        write_mask(home / "given" / f"{t:05d}.png", labels[t])
    assert_refused(home, capsys, ["clip", "--masks", "given", "--out", "given"], "folder of the masks that you give")


@pytest.mark.parametrize("depth", [1, 255])
def test_a_first_mask_in_the_folder_of_masks_stays_and_counts_by_its_ids(home, capsys, depth):
    """It is not written again, so the same line and --from go on working; other ids are another run."""
    (home / "m").mkdir()
    first = (np.asarray(Image.open("first.png")) == 1).astype(np.uint8) * depth
    Image.fromarray(first).save("m/00000.png")
    kept = (home / "m" / "00000.png").read_bytes()
    assert segment("clip", "--masks", "m/00000.png", "--out", "m") == 0
    masks = everything(home / "m")
    assert segment("clip", "--masks", "m/00000.png", "--out", "m") == 0 and "nothing to do" in capsys.readouterr().err
    assert everything(home / "m") == masks and (home / "m" / "00000.png").read_bytes() == kept
    assert main(["segment", "--from", "m/run.json", "--out", "again", "--quiet"]) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert np.array_equal(read_mask(home / "again" / "00000.png"), first > 0)
    assert segment("clip", "--masks", "again/00000.png", "--out", "m") == 0, "the same ids, stored otherwise"
    Image.fromarray(np.roll(first, 2, 1)).save("m/00000.png")
    assert segment("clip", "--masks", "m/00000.png", "--out", "m") == 2


def test_what_a_run_made_it_may_make_again_and_what_was_put_there_since_is_kept(home, capsys):
    words = ["clip", "--masks", "first.png", "--out", "m", "--overlay", "o.mp4", "--sheet", "s.png", "--coco", "a.json"]
    assert segment(*words) == 0
    made = everything(home)
    assert segment(*words) == 0 and everything(home) == made
    shutil.copy("clip.mp4", "o.mp4")
    assert_refused(home, capsys, words, "--overlay o.mp4", "is there already")


def test_a_disk_that_knows_no_modes_is_written_to(home, monkeypatch):
    """FAT, exFAT and network shares refuse chmod: the mode is all that is lost."""
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    assert segment("clip", "--masks", "first.png", "--out", "m", "--overlay", "o.mp4", "--sheet", "s.png") == 0
    assert_clip_found(home / "m", 5)
    assert (home / "o.mp4").is_file() and (home / "s.png").is_file()


# What is meant is understood, or asked for


def test_a_mask_is_of_the_frame_that_it_is_named_after(home, capsys):
    """Segmenting begins there, and it is said; so with a word for masks beside the name, and in a video file."""
    labels = moving_shapes(5, ROOM, objects=2)[1]
    for name, source in (("00002.png", "clip"), ("00002_mask.png", "clip"), ("00002.png", "clip.mp4")):
        write_mask(home / name, labels[2])
        assert segment(source, "--masks", name, "--out", "m") == 0
        err = capsys.readouterr().err
        assert f"{name}, of frame 00002: 2 objects" in err and "the 2 before it are left out" in err
        assert sorted(p.name for p in (home / "m").glob("*.png")) == ["00002.png", "00003.png", "00004.png"]
        assert_found([read_mask(home / "m" / f"0000{t}.png") for t in (3, 4)], labels[3:])
        assert json.loads((home / "m" / "run.json").read_text())["frames"] == 3
        shutil.rmtree(home / "m")


def test_a_mask_of_a_frame_that_a_film_does_not_have_is_refused(home, capsys):
    shutil.copy("first.png", "00009.png")
    assert_refused(home, capsys, ["clip.mp4", "--masks", "00009.png"], "the last is 00004")


def test_a_mask_per_frame_in_which_objects_enter_or_are_corrected(home, capsys):
    """Object 2 enters in frame 2 and object 1 is corrected there; what is given is the answer, and both are followed."""
    frames, labels = moving_shapes(6, ROOM, objects=2, absent={2: range(2)})
    save_frames(home / "late", frames)
    (home / "given").mkdir()
    write_mask(home / "given" / "00000.png", labels[0])
    moved = np.where(labels[2] == 2, 2, np.roll(labels[2] == 1, 3, 1)).astype(np.uint8)
    write_mask(home / "given" / "00002.png", moved)
    (home / "given" / "note.txt").write_text("mine")
    write_mask(home / "given" / "other.png", labels[0])
    assert segment("late", "--masks", "given", "--out", "m") == 0
    err = capsys.readouterr().err
    assert "00000.png, of frame 00000: 1 object" in err and "00002.png, of frame 00002: 2 objects" in err
    assert "no frame has their name: other.png" in err
    found = [read_mask(home / "m" / f"{t:05d}.png") for t in range(6)]
    assert np.array_equal(found[2], moved)
    assert_found([found[t] for t in (1, 3, 4, 5)], labels[[1, 3, 4, 5]])
    assert json.loads((home / "m" / "run.json").read_text())["objects"] == 2
    (home / "empty").mkdir()
    assert_refused(home, capsys, ["clip", "--masks", "empty"], "named after a frame")


def test_the_colours_of_an_rgb_mask_keep_their_ids_in_the_next(home, capsys):
    """Orange and violet, in whatever order: a later mask that shows violet alone means object 2."""
    labels = moving_shapes(5, ROOM, objects=2)[1]
    colours = np.array([(0, 0, 0), (250, 140, 20), (130, 20, 220)], np.uint8)
    (home / "given").mkdir()
    Image.fromarray(colours[labels[0]]).save("given/00000.png")
    Image.fromarray(colours[np.where(labels[2] == 2, 2, 0)]).save("given/00002.png")
    assert_refused(home, capsys, ["clip", "--masks", "given"], "--colours")
    assert segment("clip", "--masks", "given", "--colours", "--out", "m") == 0
    first, third = (read_mask(home / "m" / f"0000{t}.png") for t in (0, 2))
    numbers = [int(first[labels[0] == i][0]) for i in (1, 2)]
    assert sorted(numbers) == [1, 2] and np.array_equal(first, np.array([0, *numbers])[labels[0]])
    assert np.array_equal(third == numbers[1], labels[2] == 2)
    assert main(["segment", "--from", "m/run.json", "--quiet"]) == 0


def test_a_listing_says_what_it_took_and_what_it_left_out(home, capsys):
    """In the order of decimal numbers; masks beside frames are no frames."""
    frames, labels = moving_shapes(4, ROOM, objects=2)
    save_frames(home / "shot", frames, ["t 0.25.png", "t 0.5.png", "t 1.125.png", "t 10.5.png"])
    for name in ("t 0.25_mask.png", "mask-t 0.5.png", "t 1.125.gt.png"):
        write_mask(home / "shot" / name, labels[0])
    (home / "shot" / "notes.txt").write_text("mine")
    assert segment("shot", "--masks", "first.png", "--out", "m") == 0
    said = lines(capsys)
    assert "vosedu: shot: 4 frames, t 0.25.png to t 10.5.png" in said
    assert any("left out: 3 (" in line and "belongs to a frame" in line for line in said)
    assert any("left out: 1 (notes.txt)" in line for line in said)
    found = [read_mask(home / "m" / f"t {t}.png") for t in ("0.25", "0.5", "1.125", "10.5")]
    assert len(list((home / "m").glob("*.png"))) == 4
    assert_found(found[1:], labels[1:])


def test_numbers_of_versions_are_no_decimal_numbers(home, capsys):
    save_frames(home / "takes", moving_shapes(11, ROOM, objects=2)[0], [f"take 1.{n}.png" for n in range(1, 12)])
    assert segment("takes", "--masks", "first.png", "--out", "m") == 0
    assert "take 1.1.png to take 1.11.png" in capsys.readouterr().err


def test_a_frame_that_is_a_link_to_nothing_is_said(home, capsys):
    (home / "clip" / "00003.png").unlink()
    (home / "clip" / "00003.png").symlink_to(home / "gone.png")
    assert_refused(home, capsys, ["clip", "--masks", "first.png"], "00003.png is a link to nothing")


def test_mixed_sizes_are_refused_before_anything_is_computed(home, capsys):
    """From the headers, and as the EXIF turns them."""
    save_frames(home / "clip", [moving_shapes(1, (100, 120))[0][0]], ["00004.png"])
    assert_refused(home, capsys, ["clip", "--masks", "first.png"], "frame 00004 is 120x100, the first 176x128")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(moving_shapes(1, ROOM)[0][0]).save(home / "clip" / "00004.png", exif=exif)
    assert_refused(home, capsys, ["clip", "--masks", "first.png"], "frame 00004 is 128x176, the first 176x128")


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_frames_of_more_than_8_bits_are_neither_black_nor_cut(home, capsys, bits, ending, colour):
    frames, labels = moving_shapes(4, ROOM)
    frames = np.ascontiguousarray(frames[..., ::-1] if colour else frames[..., 1:2])
    (home / "deep").mkdir()
    for t, frame in enumerate(frames):
        assert cv2.imwrite(str(home / "deep" / f"{t}{ending}"), frame.astype(np.uint16) << (bits - 8) | (1 << (bits - 8)) - 1)
    write_mask(home / "one.png", labels[0])
    assert segment("deep", "--masks", "one.png", "--out", "m") == 0
    assert any(f"hold values of {bits} bits" in line for line in lines(capsys)) == (bits < 16)
    shown = read_image(home / "deep" / f"2{ending}", bits)
    assert np.array_equal(shown, frames[2][..., ::-1] if colour else np.repeat(frames[2], 3, 2))
    if bits == 12:
        cv2.imwrite(str(home / "deep" / f"1{ending}"), np.full((*ROOM, 3) if colour else ROOM, 5000, np.uint16))
        assert segment("deep", "--masks", "one.png", "--out", "other") == 2
        assert "1" + ending + " has values up to 5000" in capsys.readouterr().err


def test_a_mask_is_turned_as_its_exif_says(home):
    exif = Image.Exif()
    exif[274] = 3
    ids = np.asarray(Image.open("first.png"))
    Image.fromarray(np.ascontiguousarray(ids[::-1, ::-1])).save("turned.png", exif=exif)
    assert segment("clip", "--masks", "turned.png", "--out", "m") == 0
    assert np.array_equal(read_mask(home / "m" / "00000.png"), ids)


# Refused though right, or late


@pytest.mark.parametrize(("flag", "name"), [("--sheet", "sheet"), ("--sheet", "sheet.svg"), ("--overlay", "o.avi"),
                                            ("--overlay", "o"), ("--cut-out", "c.mp4"), ("--coco", "a.txt")])
def test_an_unknown_ending_is_refused_before_the_first_frame(home, capsys, flag, name):
    assert_refused(home, capsys, ["clip", "--masks", "first.png", flag, name], flag, name, "use .")


def test_home_is_the_users_folder_whatever_the_shell_does(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home / "me"))
    monkeypatch.setenv("USERPROFILE", str(home / "me"))
    assert main(["segment", "clip", "--masks=first.png", "--out=~/masks", *FAST]) == 0
    assert (home / "me" / "masks" / "00004.png").is_file() and not (home / "~").exists()


def test_a_dot_has_the_name_of_its_folder(home, monkeypatch):
    monkeypatch.chdir(home / "clip")
    assert segment(".", "--masks", "../first.png") == 0
    assert (home / "clip" / "clip-masks" / "00004.png").is_file()


def test_a_moved_folder_is_repeated_from_where_it_is(home, capsys):
    assert segment("clip", "--masks", "first.png", "--out", "m") == 0
    (home / "moved").mkdir()
    for name in ("clip", "first.png", "m"):
        shutil.move(name, home / "moved" / name)
    capsys.readouterr()
    assert main(["segment", "--from", "moved/m/run.json", "--quiet"]) == 2
    assert "give the video as INPUT beside --from" in capsys.readouterr().err
    words = ["moved/clip", "--masks", "moved/first.png", "--from", "moved/m/run.json", "--quiet"]
    assert main(["segment", *words]) == 0 and "bit for bit" in capsys.readouterr().out
    write_mask(home / "moved" / "first.png", np.roll(read_mask(home / "moved" / "first.png"), 4, 1))
    assert main(["segment", *words, "--out", "other"]) == 2 and "masks (SHA-256)" in capsys.readouterr().err


# What else can be made


def test_cut_outs_have_the_objects_opaque_and_all_else_transparent(home):
    for name, pixels in (("c.mov", "yuva444p12le"), ("c.webm", "yuva420p")):
        assert segment("clip", "--masks", "first.png", "--out", "m", "--cut-out", name) == 0
        with av.open(name) as film:
            stream = film.streams.video[0]
            if name.endswith("webm"):
                context = av.CodecContext.create("libvpx-vp9", "r")
                pictures = [p for packet in film.demux(stream) for p in context.decode(packet if packet.size else None)]
            else:
                pictures = list(film.decode(stream))
        assert len(pictures) == 5 and pictures[0].format.name == pixels
        for t, picture in enumerate(pictures):
            alpha, inside = picture.to_ndarray(format="rgba")[..., 3], read_mask(home / "m" / f"{t:05d}.png") > 0
            sure = cv2.erode(inside.astype(np.uint8), np.ones((5, 5))) > 0
            assert alpha[sure].min() > 200 and alpha[cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) == 0].max() < 55


def test_cocos_list_says_the_same_as_the_masks_and_can_be_given(home, capsys):
    from pycocotools import mask

    assert segment("clip", "--masks", "first.png", "--out", "m", "--coco", "a.json") == 0
    content = json.loads((home / "a.json").read_text())
    assert [i["file_name"] for i in content["images"]] == [f"{t:05d}" for t in range(5)]
    for image in content["images"]:
        ids = np.zeros(ROOM, np.uint8)
        for one in (a for a in content["annotations"] if a["image_id"] == image["id"]):
            shape = mask.decode({"size": one["segmentation"]["size"], "counts": one["segmentation"]["counts"].encode()})
            assert one["area"] == shape.sum() and one["track_id"] == one["category_id"]
            ids[shape > 0] = one["track_id"]
        assert np.array_equal(ids, read_mask(home / "m" / f"{image['file_name']}.png"))
    assert segment("clip", "--masks", "a.json", "--out", "n") == 0, "every frame is given"
    assert all((home / "m" / f"{t:05d}.png").read_bytes() == (home / "n" / f"{t:05d}.png").read_bytes() for t in range(5))
