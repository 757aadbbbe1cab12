"""A notebook in the kernel of another environment: the first cell's error says which kernel to choose."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", ["torch", "anywidget"])
def test_a_package_that_the_kernel_lacks_is_named_with_the_kernel_to_choose(tmp_path, package):
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", "from vosedu.teaching.widget import setup"], capture_output=True, text=True,
                          env=environment, timeout=300, encoding="utf-8")
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and f"{package} cannot be imported in this kernel (not here)" in said
    assert "Change Kernel" in said and sys.executable in said and "ipykernel install" in said
