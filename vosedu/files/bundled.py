"""Where the bundled scenes and weights lie: beside the package in the repository, inside it where it was installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
DATA = next((folder for folder in (PACKAGE / "data", PACKAGE.parent / "data") if (folder / "weights").is_dir()),
            PACKAGE.parent / "data")
"""The folder that has `scenes` and `weights`."""
