"""What is installed has all that the notebooks need: they run in an empty folder, without a clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_an_installed_package_has_scenes_weights_and_scripts(tmp_path):
    pytest.importorskip("setuptools")
    library, empty = tmp_path / "library", tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path),
               "build_py", "--build-lib", str(library)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    code = """
from pathlib import Path
import vosedu
from vosedu.files import datasets
from vosedu.teaching.states import SCRIPT
from vosedu.weights import BUNDLED, BUNDLED_BASE
inside = Path(vosedu.__file__).parent
clip = vosedu.load_clip("thin", short_side=60, frames=2)
assert clip.frames[0].shape[0] == 60 and clip.masks[0].any() and len(datasets.scene_notes()) == 9
segmenter = vosedu.Segmenter.from_pretrained("compact", device="cpu")
for path in (BUNDLED, BUNDLED_BASE, SCRIPT, datasets.SCENES, datasets.SCENES.parents[1] / "docs" / "davis.md"):
    assert path.exists() and inside in path.parents, path
print(inside)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(library)}, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == library / "vosedu"
