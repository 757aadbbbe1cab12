"""The bounded part of the fault and fuzz suite; docs/robustness.md has the whole of it."""

import subprocess
import sys
from pathlib import Path

import pytest

PARTS = ("files of the user's", "segment, SIGKILL", "evaluate, SIGKILL", "train, SIGKILL", "damaged files",
         "200 frames, memory")
POSIX_PARTS = ("segment, Ctrl-C", "evaluate, Ctrl-C", "segment, no space", "evaluate, no space", "train, no space")


def test_nothing_is_lost():
    run = subprocess.run([sys.executable, "-m", "benchmarks.faults", "--quick"], capture_output=True, text=True, timeout=900,
                         cwd=Path(__file__).parents[2], encoding="utf-8")
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    rows = {line[:28].strip(): line[28:].split() for line in run.stdout.splitlines()[1:]}
    for part in (*PARTS, *(POSIX_PARTS if sys.platform != "win32" else ()), "all"):
        tried, survived, lost = map(int, rows[part][:3])
        assert tried == survived > 0 and lost == 0, run.stdout


def test_the_suite_notices_a_loss(tmp_path, monkeypatch):
    """The same checks on results that were tampered with: a mask that differs, one that is gone, a scratch file left."""
    from benchmarks import faults

    kind, right, tally = faults.Segmenting(tmp_path, 2), tmp_path / "right", faults.Tally("tampered")
    for out in (right, tmp_path / "work"):
        (out / "m").mkdir(parents=True)
        for name in ("00000.png", "00001.png"):
            (out / "m" / name).write_bytes(b"mask")
        (out / "o.mp4").write_bytes(b"film")
    kind.same(tmp_path / "work", right, tally)
    (tmp_path / "work" / "o.mp4").unlink()
    state = kind.look(tmp_path / "work", {}, tally, right)
    assert not tally.lost and set(state["now"]) == {"00000.png", "00001.png"}
    (tmp_path / "work" / "m" / "00001.png").write_bytes(b"half")
    (tmp_path / "work" / "m" / "00000.png").unlink()
    (tmp_path / "work" / "m" / "scratch").write_bytes(b"")
    kind.look(tmp_path / "work", {**state, "kept": 1}, tally, right)
    for words in ("00001.png differs", "mask was lost", "checkpoint was lost", "stray file"):
        assert any(words in line for line in tally.lost), words
    (tmp_path / "work" / "o.mp4").write_bytes(b"cut")
    tally.lost.clear()
    kind.same(tmp_path / "work", right, tally)
    assert any("other masks" in line for line in tally.lost) and any("another overlay" in line for line in tally.lost)


@pytest.mark.parametrize("trap", [ValueError("x"), InterruptedError("y")])
def test_fuzzing_notices_another_exception(tmp_path, monkeypatch, trap):
    from benchmarks import fuzz

    class Pipe:
        sent = []  # noqa: RUF012

        def send(self, item):
            self.sent.append(item)

    def fail(_):
        raise trap

    monkeypatch.setattr(fuzz, "fuzz_targets", lambda home: {"trap": ("f", b"content", fuzz.damage, fail)})
    monkeypatch.setattr(fuzz.os, "dup2", lambda *_: None)
    fuzz.fuzz_child(Pipe(), tmp_path, 0, 2, 0)
    assert Pipe.sent[1][2].startswith(type(trap).__name__)
