"""Where what comes with the package lies: within it once it is installed, beside it in a clone."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def bundled(name: str, package: Path = PACKAGE) -> Path:
    """The folder of bundled weights, scenes or notebooks.

    Args:
        name: "data/weights", "data/scenes" or "notebooks".
        package: folder of the package.
    """
    installed = package / name
    return installed if installed.is_dir() else package.parent / name
