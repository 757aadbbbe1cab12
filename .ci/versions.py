"""Run the tests with the oldest supported and with the newest packages, each in a virtual environment of its own.

    python .ci/versions.py oldest            # the minor version that pyproject.toml names for each dependency
    python .ci/versions.py newest            # whatever pip finds
    python .ci/versions.py oldest tests/test_segmenter.py -k devices    # the rest goes to pytest

An environment takes some gigabytes in VOSEDU_VENVS (default: the system's folder for temporary files), and is kept there.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def oldest() -> list[str]:
    """The dependencies of pyproject.toml, pinned to the least minor version they allow."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'"([\w-]+)>=([\d.]+)"', text[text.index("dependencies = [") : text.index("[tool.setuptools]")])
    return [f"{name}=={version}.*" for name, version in found if name not in ("setuptools", "playwright")]


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in ("oldest", "newest"):
        sys.exit(__doc__)
    which, tests = sys.argv[1], sys.argv[2:] or ["tests"]
    folder = Path(os.environ.get("VOSEDU_VENVS", tempfile.gettempdir())) / f"vosedu-{which}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pins = oldest() if which == "oldest" else []
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    upgrade = ["--upgrade", "--upgrade-strategy", "eager"] if which == "newest" else []
    subprocess.run([*install, *upgrade, "--editable", f"{ROOT}[dev]", *pins], check=True)
    names = ("torch", "torchvision", "numpy", "opencv-python", "pillow", "safetensors")
    says = "from importlib.metadata import version as v; import sys; print(sys.version.split()[0], *(f'{n} {v(n)}' for n in "
    subprocess.run([str(python), "-c", f"{says}{names!r}), sep=', ')"], check=True)
    return subprocess.run([str(python), "-m", "pytest", *tests], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
