"""The bundled scenes and weights go into the wheel, so that what is installed needs no clone; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithData(build_py):
    """Also copies data/scenes and data/weights into the package."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name in ("scenes", "weights"):
                shutil.copytree(Path("data", name), Path(self.build_lib, "vosedu", "data", name), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithData})
