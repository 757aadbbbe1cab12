"""Files that are there whole or not at all; digests against hashlib and sha256sum."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from vosedu.errors import InputError
from vosedu.files.whole import (
    atomic,
    digest,
    make_folder,
    read_json,
    refuse_other_json,
    refuse_strangers,
    sweep,
    write_bytes,
    write_json,
)


def test_atomic_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path and temporary.suffix == ".txt" and temporary.name.startswith(".vosedu-a-")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_atomic_replaces_the_old_file_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_written_can_be_read_by_all_and_changed_by_its_owner(tmp_path, umask):
    """mkstemp alone would leave masks that a web server or a colleague cannot read."""
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "a", b"1")
        write_json(tmp_path / "b.json", {})
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o644}


def test_sweep_removes_what_killed_runs_left_and_nothing_else(tmp_path):
    stem = "a[1]" + "x" * 60
    mine, others = f".vosedu-{stem[:40]}-abcdefgh.png", ".vosedu-b-abcdefgh.png"
    for name in (mine, others, "a.png", ".vosedurc"):
        (tmp_path / name).write_bytes(b"")
    sweep(tmp_path, stem)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([others, "a.png", ".vosedurc"])
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".vosedurc", "a.png"]


def test_sweep_finds_what_atomic_leaves_when_the_process_is_killed(tmp_path, monkeypatch):
    path = tmp_path / ("long " * 12 + ".png")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # nothing is tidied up after a kill
        with pytest.raises(RuntimeError), atomic(path):
            raise RuntimeError
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path, path.stem)
    assert list(tmp_path.iterdir()) == []


def test_json_round_trip_and_what_is_refused(tmp_path):
    content = {"a": [1, 2.5, None], "ü": {"b": "c"}}
    write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == content == read_json(tmp_path / "a.json")
    for number, text in enumerate(("[1]", "{", "", "\xff", "[" * 10**5)):
        path = tmp_path / f"{number}.json"
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(InputError, match="damaged, or was not written by vosedu"):
            read_json(path)
    with pytest.raises(InputError, match=r"none\.json: No such file"):
        read_json(tmp_path / "none.json")


def test_make_folder_creates_it_or_says_why_not(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b" and list(folder.iterdir()) == []
    assert make_folder(folder) == folder
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*choose another folder with --out"):
        make_folder(tmp_path / "file")


@pytest.fixture
def large(tmp_path):
    """A file of three mebibytes and a bit in which no block repeats."""
    path = tmp_path / "large.bin"
    path.write_bytes(b"".join(i.to_bytes(4, "big") for i in range(3 * (1 << 18) + 5)))
    return path


def test_digest_is_of_the_whole_file(large):
    content = large.read_bytes()
    assert digest([large]) == hashlib.sha256(content).hexdigest()
    for place in (0, (1 << 20) + 7, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        large.write_bytes(changed)
        assert digest([large]) == hashlib.sha256(changed).hexdigest() != hashlib.sha256(content).hexdigest()


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum here")
def test_digest_of_several_files_is_that_of_what_sha256sum_prints(large):
    small = large.with_name("b.bin")
    small.write_bytes(b"abc")
    for files in ([large, small], [small, large]):
        lines = subprocess.run(["sha256sum", *(f.name for f in files)], cwd=large.parent, capture_output=True, check=True)
        assert digest(files) == hashlib.sha256(lines.stdout).hexdigest()
    with pytest.raises(InputError, match=r"none\.bin: No such file"):
        digest([small, large.with_name("none.bin")])


def test_json_of_another_command_is_not_replaced(tmp_path):
    file = tmp_path / "r.json"
    refuse_other_json("--json", file, "rows")
    file.write_text('{"rows": []}')
    refuse_other_json("--json", file, "rows")
    for content in ('{"other": 1}', "no JSON", "[1]"):
        file.write_text(content)
        with pytest.raises(InputError, match=r"r\.json"):
            refuse_other_json("--json", file, "rows")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="is there already"):
        refuse_other_json("--json", tmp_path / "folder.json", "rows")


def test_a_folder_without_a_mark_of_the_run_keeps_its_files(tmp_path):
    refuse_strangers("--out", tmp_path / "nowhere", ["done.pt"], ["w.bin"])
    (tmp_path / "w.bin").write_text("mine")
    with pytest.raises(InputError, match=r"--out .*w\.bin is there already"):
        refuse_strangers("--out", tmp_path, ["done.pt", "done.csv"], ["v.bin", "w.bin"])
    (tmp_path / "done.csv").write_text("")
    refuse_strangers("--out", tmp_path, ["done.pt", "done.csv"], ["v.bin", "w.bin"])
