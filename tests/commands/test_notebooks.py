"""The command `notebooks`: what is copied, and that nothing is replaced."""

from pathlib import Path

from vosedu.commands import main
from vosedu.files.bundled import bundled

ROOT = Path(__file__).resolve().parents[2]


def test_all_notebooks_and_solutions_are_copied(tmp_path, capsys):
    assert main(["notebooks", "--to", str(tmp_path / "n")]) == 0
    found = {p.relative_to(tmp_path / "n") for p in (tmp_path / "n").rglob("*.ipynb")}
    assert found == {p.relative_to(ROOT / "notebooks") for p in (ROOT / "notebooks").rglob("*.ipynb")
                     if ".ipynb_checkpoints" not in p.parts}
    assert len(found) == 22 and "00_tour.ipynb" in capsys.readouterr().out
    name = "03_gauss_newton_cg.ipynb"
    assert (tmp_path / "n" / name).read_bytes() == (ROOT / "notebooks" / name).read_bytes()


def test_answers_that_are_there_are_kept(tmp_path, capsys):
    (tmp_path / "04_augmentation.ipynb").write_text("mine")
    assert main(["notebooks", "--to", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "04_augmentation.ipynb is there already" in err and "--to" in err and err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["04_augmentation.ipynb"]


def test_what_is_bundled_is_within_the_package_or_beside_it(tmp_path):
    (tmp_path / "notebooks").mkdir()
    assert bundled("notebooks", tmp_path / "vosedu") == tmp_path / "notebooks"
    (tmp_path / "vosedu" / "notebooks").mkdir(parents=True)
    assert bundled("notebooks", tmp_path / "vosedu") == tmp_path / "vosedu" / "notebooks"
