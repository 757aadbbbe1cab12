"""What is changed, which tests belong to it, and how large a share of the changes they must notice."""

from pathlib import Path

ENGINE, DISPLAYS = 0.85, 0.70

LEAST = {
    **dict.fromkeys(("loss", "target_model", "solver", "memory", "aggregation", "augmentation"), ENGINE),
    **dict.fromkeys(("evaluation.metrics", "evaluation.scoring"), ENGINE),
    "files": ENGINE,
    "teaching": DISPLAYS,
}
"""Module or wing -> the share of its mutants that must be killed."""

ALSO = {
    "loss": ("test_target_model", "test_properties"),
    "target_model": ("test_properties", "test_segmenter"),
    "solver": ("test_properties", "test_target_model"),
    "memory": ("test_properties", "test_segmenter"),
    "aggregation": ("test_properties", "test_segmenter"),
    "augmentation": ("test_segmenter",),
    "evaluation.metrics": ("test_properties",),
    "evaluation.scoring": ("evaluation/test_metrics",),
    **dict.fromkeys(("files.layouts", "files.clip"), ("files/test_datasets",)),
    "files.annotations": ("files/test_given",),
    "files.frames": ("files/test_decoding", "files/test_given"),
    "files.images": ("files/test_labels", "files/test_given"),
    "files.bundled": ("commands/test_notebooks",),
    "teaching": ("teaching/test_exercise",),
    **dict.fromkeys(("teaching.parts", "teaching.solutions"), ("teaching/test_assembled",)),
    "teaching.sources": ("project/test_notebooks",),
    "teaching.image": ("teaching/test_features", "teaching/test_widget"),
}
"""Module or wing -> what tests it beside the file of its name: files and folders below tests/, without .py."""


def of(table: dict, module: str, default):
    """The entry of a module, else of its wing."""
    return table.get(module, table.get(module.split(".")[0], default))


def modules(package: Path, names: list[str] | None = None) -> list[str]:
    """The modules of a package that are named, alone or by their wing: all targets where no names are given.

    Raises:
        SystemExit: there is no such module.
    """
    every = [".".join(p.relative_to(package).with_suffix("").parts) for p in sorted(package.rglob("*.py"))]
    every = [module for module in every if module.split(".")[-1] not in ("__init__", "__main__")]
    found = [m for name in names or LEAST for m in every if m == name or m.startswith(f"{name}.")]
    for name in names or ():
        if not any(m == name or m.startswith(f"{name}.") for m in every):
            raise SystemExit(f"no module {name} in {package}")
    return list(dict.fromkeys(found))


def tests(root: Path, module: str) -> list[Path]:
    """The test files of a module, that of its own name first.

    Raises:
        SystemExit: it has none.
    """
    *wing, name = module.split(".")
    own = "/".join([*wing, f"test_{name}"])
    found = []
    for entry in (own, *of(ALSO, module, ())):
        place = root / "tests" / entry
        found += sorted(place.rglob("test_*.py")) if place.is_dir() else [place.with_name(f"{place.name}.py")]
    found = [path for path in dict.fromkeys(found) if path.is_file()]
    if not found:
        raise SystemExit(f"no tests for {module}: write tests/{own}.py, or name its tests in {Path(__file__).name}")
    return found
