"""The table of a training and its picture, read back."""

import numpy as np
from matplotlib.figure import Figure

from vosedu.files.images import read_image
from vosedu.training.curves import COLUMNS, add_row, draw_curves, read_table


def test_rows_of_a_run_that_was_cut_off_give_way(tmp_path):
    for step, loss in ((100, 3.0), (200, 2.0), (300, 1.0), (200, 2.5)):
        add_row(tmp_path / "t.csv", ("step", "loss"), [step, loss])
    assert (tmp_path / "t.csv").read_text().split() == ["step,loss", "100,3", "200,2.5"]
    assert read_table(tmp_path / "t.csv") == [["100", "3"], ["200", "2.5"]] and read_table(tmp_path / "none.csv") == []


def test_the_picture_shows_the_table(tmp_path, monkeypatch):
    """Each column is a curve over the steps, under its name, losses on the left and J on the right."""
    assert COLUMNS == ("step", "loss", "held-out loss", "held-out J", "held-out J of D alone", "seconds")
    table = [[10, 0.9, 0.8, 0.3, 0.5, 1.0], [20, 0.5, 0.6, 0.45, 0.51, 2.0], [30, 0.2, 0.55, 0.6, 0.52, 3.0]]
    for row in table:
        add_row(tmp_path / "t.csv", COLUMNS, row)
    drawn, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **rest: (drawn.append(figure), save(figure, *args, **rest)))
    draw_curves(tmp_path / "t.csv", tmp_path / "t.png")
    columns = np.array(table).T
    left, right = drawn[0].axes
    for axes, names, shown in ((left, ("training", "held out"), columns[1:3]), (right, ("with R", "D alone"), columns[3:5])):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == list(names)
        for name, line, values in zip(names, axes.get_lines(), shown, strict=True):
            assert line.get_label() == name
            np.testing.assert_allclose(line.get_xydata(), np.stack([columns[0], values], axis=1))
    assert "cross-entropy" in left.get_ylabel() and left.get_yscale() == "log"
    assert right.get_ylabel() == "J on held-out clips" and left.get_xlabel() == right.get_xlabel() == "step"
    picture = read_image(tmp_path / "t.png")
    assert picture.shape == (352, 990, 3)
    for number in (0, 1):  # both curves are in the file, in matplotlib's first two colours
        colour = np.array([(31, 119, 180), (255, 127, 14)][number])
        assert (np.abs(picture.astype(int) - colour).max(axis=2) < 10).sum() > 100


def test_a_run_without_d_has_the_other_curves(tmp_path):
    for step, j in ((10, 0.2), (20, 0.6)):
        add_row(tmp_path / "t.csv", COLUMNS, [step, 0.9, 0.8, j, float("nan"), 1.0])
    draw_curves(tmp_path / "t.csv", tmp_path / "t.png")
    right = read_image(tmp_path / "t.png")[:, 495:].astype(int)
    blue, orange = ((np.abs(right - colour).max(axis=2) < 10).sum() for colour in ((31, 119, 180), (255, 127, 14)))
    assert blue > 4 * orange > 0, "the second curve is in the legend alone"
