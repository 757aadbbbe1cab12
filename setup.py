"""The bundled scenes and weights go into the wheel, so that what is installed needs no clone; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithData(build_py):
    """Also copies data/scenes, data/weights and the table that notebook 08 reads into the package."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib, "vosedu")
        for name in ("scenes", "weights"):
            shutil.copytree(Path("data", name), package / "data" / name, dirs_exist_ok=True)
        (package / "docs").mkdir(exist_ok=True)
        shutil.copy(Path("docs", "davis.md"), package / "docs")


setup(cmdclass={"build_py": WithData})
