"""What pip installs is enough: the wheel, in an environment of its own, away from the clone.

The environment has the packages of the one that runs the tests, by a .pth file, so that nothing is downloaded; vosedu is only
in the wheel there, for .pth files of a folder that is added so are not read.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import moving_shapes, save_frames

from vosedu.files.images import write_mask

ROOT = Path(__file__).resolve().parents[2]
BIN = "Scripts" if os.name == "nt" else "bin"


def run(command, folder, **more):
    """A command that must go well, in a folder, without the tests' PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([str(c) for c in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900,
                          encoding="utf-8", **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist and the wheel that is built of it, without building environments from the network."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Where the programs of an environment are in which pip has installed the wheel."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / BIN / ("python.exe" if os.name == "nt" else "python")
    (wheel,) = built.glob("*.whl")
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel], home)
    packages = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], home).strip())
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / BIN


def test_the_wheel_holds_all_that_is_needed_and_no_more(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("vosedu/data/weights/compact.safetensors", "vosedu/data/weights/compact-base.safetensors",
                 "vosedu/data/weights/compact-free.safetensors", "vosedu/data/weights/compact-dv17.safetensors",
                 "vosedu/data/scenes/scenes.json", "vosedu/notebooks/00_tour.ipynb", "vosedu/notebooks/README.md",
                 "vosedu/teaching/painter.js", "vosedu/beyond/window.py"):
        assert name in names, name
    scenes = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "data" / "scenes").rglob("*") if p.is_file())
    assert sorted(n for n in names if n.startswith("vosedu/data/scenes/")) == [f"vosedu/{name}" for name in scenes]
    assert not [n for n in names if n.split("/")[0] not in ("vosedu", "vosedu-0.1.0.dist-info")]
    assert wheel.stat().st_size < 60_000_000
    with tarfile.open(sdist) as archive:
        packed = {n.split("/", 1)[-1] for n in archive.getnames()}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "tests/helpers.py"} <= packed
    run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], built)


def test_doctor_finds_nothing_missing_away_from_the_clone(installed, tmp_path):
    said = run([installed / "vosedu", "doctor"], tmp_path)
    assert "missing" not in said and "self-test: J 0.9" in said and str(ROOT) not in said, said
    where = run([installed / "python", "-c", "import vosedu; print(vosedu.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_the_demo_and_a_video_of_ones_own_run(installed, tmp_path):
    assert "J&F" in run([installed / "vosedu", "demo", "--scene", "huddle", "--short-side", "64"], tmp_path)
    assert len(list((tmp_path / "out" / "huddle").glob("*.png"))) == 40 and (tmp_path / "out" / "huddle.mp4").is_file()
    frames, labels = moving_shapes(3)
    save_frames(tmp_path / "clip", frames)
    write_mask(tmp_path / "first.png", labels[0])
    run([installed / "vosedu", "segment", "clip", "--masks", "first.png", "--preset", "fast"], tmp_path)
    assert json.loads((tmp_path / "clip-masks" / "run.json").read_text(encoding="utf-8"))["finished"]


def test_the_notebooks_are_copied_and_one_runs(installed, tmp_path):
    run([installed / "vosedu", "notebooks", "--to", "mine"], tmp_path)
    copied, there = (sorted(p.name for p in folder.glob("*.ipynb")) for folder in (tmp_path / "mine", ROOT / "notebooks"))
    assert copied == there
    assert (tmp_path / "mine" / "solutions" / "02_weighted_l2_loss.ipynb").is_file()
    run([installed / "python", "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb",
         "--ExecutePreprocessor.timeout=600", "--allow-errors", "mine/02_weighted_l2_loss.ipynb"], tmp_path)
    cells = json.loads((tmp_path / "mine" / "done.ipynb").read_text(encoding="utf-8"))["cells"]
    failed = [c for c in cells if any(o["output_type"] == "error" for o in c.get("outputs", ()))]
    assert all(o["ename"] == "NotImplementedError" or "exercise" in c["metadata"].get("tags", ())
               for c in failed for o in c["outputs"] if o["output_type"] == "error")
    assert sum(bool(c.get("outputs")) for c in cells) > 5
