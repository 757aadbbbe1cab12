"""`rivals` and `table3`: from training clips to a table, resumed, and what they cannot do in one line."""

import json

import pytest
import torch
from helpers import QUICK, moving_shapes, save_frames

from vosedu.commands import main, rivals, table3
from vosedu.commands.rows import chosen_rows
from vosedu.files.images import write_mask
from vosedu.rivals.family import Calibrated
from vosedu.rivals.field import ATTRIBUTES, FIGURES
from vosedu.segmenter import Segmenter, Video

SOME = ["davis2017", "--sequences", "two", *QUICK, "--update-every", "2"]


def devices_asked_for(monkeypatch, module):
    """Where a command wants what was learned offline: a list that grows with each reading."""
    devices, load = [], module.load_learned

    def noting(path, channels, device):
        devices.append(device)
        return load(path, channels)

    monkeypatch.setattr(module, "load_learned", noting)
    return devices


def test_what_was_learned_goes_to_the_engine_s_device(segmenter, monkeypatch):
    devices = devices_asked_for(monkeypatch, table3)
    table3.family_rows(segmenter, None)
    assert devices == [segmenter.device] and isinstance(devices[0], torch.device)


def test_rows_are_families_and_readouts_on_one_f(segmenter):
    rows = table3.family_rows(segmenter, None)
    assert list(rows)[:5] == ["D", "D at one half", "D + R", "matching", "matching + R"] and len(rows) == 20 + 6 + 1
    assert {"matching", "nearest", "matching + R", "nearest + R"} < set(rows), "VM's K and K = 1"
    assert rows["nearest"].engine.targets(segmenter.config).targets.k == 1
    plain = {name for name in rows if "one half" in name} | {"Ours"}
    for name in plain:
        assert not isinstance(rows[name].engine.targets(segmenter.config), Calibrated)
    assert rows.pop("Ours").engine.refinement is segmenter.refinement
    for name, row in rows.items():
        if name in plain:
            assert row.engine.refinement is None and row.engine.readout == (10.0, -5.0)
            continue
        assert row.engine.backbone is segmenter.backbone and row.engine.config == segmenter.config
        assert isinstance(row.engine.targets(segmenter.config), Calibrated)
        assert row.engine.refinement is (segmenter.refinement if name.endswith("+ R") else None)
        assert row.readout == ("R of D" if name.endswith("+ R") else "bilinear")
    assert {row.represents for row in rows.values()} == {"D", "VM", "FEELVOS", "AGAME", "OSNM", ""}
    assert rows["D"].engine.targets is rows["D + R"].engine.targets, "the same scores for both"


def test_from_clips_to_a_table(davis, tmp_path, capsys, monkeypatch):
    """R of one family alone is learned; its row says so, the others have D's. Run again, nothing is done again."""
    frames, labels = moving_shapes(5, (90, 160))
    save_frames(tmp_path / "clips" / "JPEGImages" / "480p" / "a", frames)
    (tmp_path / "clips" / "Annotations" / "480p" / "a").mkdir(parents=True)
    for index, ids in enumerate(labels):
        write_mask(tmp_path / "clips" / "Annotations" / "480p" / "a" / f"{index:05d}.png", ids)
    learn = ["rivals", "--video", str(tmp_path / "clips"), "--out", str(tmp_path / "field"), "--propagation-steps", "2",
             "--readout-batches", "1", "--steps", "1", "--batch", "1", "--height", "64", "--only", "ridge", "--quiet",
             "--samples", "2", "--device", "cpu"]
    assert main(learn) == 0
    assert sorted(p.name for p in (tmp_path / "field").iterdir()) == ["R-ridge.safetensors", "field.safetensors"]
    capsys.readouterr()
    monkeypatch.setattr(rivals, "learn_field", lambda *_: pytest.fail("learned again"))
    devices = devices_asked_for(monkeypatch, rivals)
    assert main(learn) == 0 and devices == [torch.device("cpu")]
    assert "ridge" in capsys.readouterr().out
    rows = table3.family_rows(Segmenter.from_pretrained("compact", device="cpu"), tmp_path / "field")
    assert [name for name, row in rows.items() if row.readout == "its R"] == ["ridge + R"]
    table = ["table3", *SOME, "--root", str(davis), "--out", str(tmp_path / "t"), "--learned", str(tmp_path / "field"),
             "--rows", "D,ridge + R"]
    assert main(table) == 0
    printed = capsys.readouterr().out
    saved = json.loads((tmp_path / "t" / "table3.json").read_text())["rows"]
    assert list(saved) == ["D", "ridge + R"]
    cells = [line.split("|")[1:-1] for line in printed.split("\n\n")[0].splitlines()]
    for (name, row), line in zip(saved.items(), cells[2:], strict=True):
        kept = json.loads((tmp_path / "t" / name.replace(" ", "-") / "two.cost.json").read_text())
        assert kept["objects"] == 2 and kept["frames"] == 3
        assert row["fps"] == pytest.approx(3 / kept["steps"]) and row["first_seconds"] == pytest.approx(kept["first"] / 2)
        assert row["held_mb"] == pytest.approx(kept["held"] / 2 / 2**20)
        assert [c.strip() for c in line[:5]] == [name, row["readout"], f"{row['J']['mean']:.3f}", f"{row['F']['mean']:.3f}",
                                                 f"{row['JF_mean']:.3f}"]
    assert [c.strip() for c in cells[2][9:]] == ["Ours (ResNet-101; YouTube-VOS)", "85.0", "73.4", "14.6"]
    monkeypatch.setattr(Video, "step", lambda *_: pytest.fail("segmented again"))
    assert main(table) == 0 and capsys.readouterr().out == printed
    del table[-4:-2]
    assert main(table) == 2 and "holds results with learned" in capsys.readouterr().err, "with the bundled file"


def test_scores_without_their_costs_are_made_again(davis, tmp_path, capsys):
    table = ["table3", *SOME, "--root", str(davis), "--out", str(tmp_path / "t"), "--rows", "matching"]
    assert main(table) == 0
    (tmp_path / "t" / "matching" / "two.cost.json").unlink()
    assert main(table) == 0 and (tmp_path / "t" / "matching" / "two.cost.json").is_file()


def test_fine_tuned_rows_are_there_when_asked_for(segmenter):
    class Flags:
        base, fine_tuned = None, True

    from vosedu.commands.flags import Settings
    rows = table3.tuned_rows(segmenter, Settings(), Flags)
    assert {name: row.represents for name, row in rows.items()} == {
        "Base net": "", "Base net + F-T": "OSVOS-S", "Base net + F-T online": "OnAVOS"}
    Flags.fine_tuned = False
    assert list(table3.tuned_rows(segmenter, Settings(), Flags)) == ["Base net"]
    assert list(chosen_rows(rows, "Base net + F-T online")) == ["Base net + F-T online"]


def test_attributes_are_means_over_their_sequences():
    """By hand: 0.2 and 0.6 are fast, the second is thin as well; and every scene that has an attribute is bundled."""
    from vosedu.files.datasets import scene_notes

    assert {name for names in ATTRIBUTES.values() for name in names} <= set(scene_notes())
    report = {"J": {"mean": 0.5, "decay": 0.1}, "F": {"mean": 0.5}, "JF_mean": 0.5, "readout": "bilinear", "first_seconds": 1.0,
              "fps": 2.0, "held_mb": 3.0, "sequences": {"a": {"J_mean": 0.2}, "b": {"J_mean": 0.6}, "c": {"J_mean": 0.9}}}
    found = table3.by_attribute(report, {"fast": ["a", "b"], "thin": ["b", "not run"], "turning": ["not run"]})
    assert found["attributes"] == {"fast": [pytest.approx(0.4), 2], "thin": [0.6, 1]}
    lines = table3.printed({"ridge": found, "D": found}, {"ridge": "", "D": "D"}).splitlines()
    assert lines[2] == "| ridge | bilinear | 0.500 | 0.500 | 0.500 | 0.100 | 1.00 | 2.00 | 3.0 |  |  |  |  |"
    assert lines[-4:] == ["| J by attribute (sequences) | fast (2) | thin (1) |", "|---|---|---|", "| ridge | 0.400 | 0.600 |",
                          "| D | 0.400 | 0.600 |"]
    plain = table3.printed({"D": table3.by_attribute(report, {})}, {"D": "D"})
    assert "by attribute" not in plain


def test_attributes_of_other_data_are_those_of_their_masks(davis, tmp_path, capsys, monkeypatch):
    """The shapes of `two` move by 8 of 96 rows a frame. The scenes' own names are for the scenes alone."""
    monkeypatch.setitem(ATTRIBUTES, "turning", ("two",))
    table = ["table3", *SOME, "--root", str(davis), "--out", str(tmp_path / "t"), "--rows", "nearest"]
    assert main(table) == 0
    saved = json.loads((tmp_path / "t" / "table3.json").read_text())
    assert saved["attributes"]["fast motion"] == ["two"] and "turning" not in saved["attributes"]
    row = saved["rows"]["nearest"]
    assert row["attributes"]["fast motion"] == [row["sequences"]["two"]["J_mean"], 1]
    assert "fast motion (1)" in capsys.readouterr().out


def test_the_figures_are_the_paper_s():
    """Table 3: a few, and that every method of it but our fast version is there."""
    assert FIGURES["AGAME"][1:4] == (70.0, 82.0, 14.3) and FIGURES["VM"].jf_2017 is None
    assert FIGURES["D on DAVIS alone"][1:4] == (67.5, 82.7, 14.6)
    assert {f.method for f in FIGURES.values()} == {"Ours", "Ours (DV17)", "AGAME", "RGMP", "FEELVOS", "VM", "FAVOS", "OSNM",
                                                    "PReMVOS", "OSVOS-S", "OnAVOS", "MGCRN", "CINM"}


@pytest.mark.parametrize(("command", "words"), [
    (["table3", "davis2017", "--rows", "Theirs"], "no row 'Theirs'"),
    (["table3", "davis2017", "--learned", "nowhere"], "no weights file at nowhere"),
    (["rivals"], "nothing to train on"),
    (["rivals", "--steps", "-1"], "--steps is -1"),
    (["rivals", "--overlap", "200"], "--overlap is 200.0"),
    (["rivals", "--rate", "0"], "--rate is 0.0"),
])
def test_what_they_cannot_do_is_one_line(davis, tmp_path, monkeypatch, capsys, command, words):
    monkeypatch.chdir(tmp_path)
    rest = ["--root", str(davis), *QUICK] if command[0] == "table3" else ["--quiet"]
    assert main([*command, "--out", "o", *rest]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and not (tmp_path / "o").exists()


def test_a_family_that_is_not_there(davis, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rivals, "learn_field", lambda segmenter, samples, args, path: path.write_bytes(
        table3.BUNDLED_FIELD.read_bytes()))
    command = ["rivals", "--video", str(davis), "--out", str(tmp_path / "f"), "--steps", "1", "--only", "D,magic", "--quiet"]
    assert main(command) == 2 and "no family 'magic': choose of D, matching" in capsys.readouterr().err
