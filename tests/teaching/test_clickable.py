"""What travels between Python and the browser for a picture that is clicked."""

import pytest

from vosedu.teaching.clickable import Clickable


def test_picture_text_and_click_go_to_the_browser_and_back():
    """All three are in what the browser gets, and a click that comes back moves the point and tells who listens."""
    clickable, heard = Clickable(value=b"jpeg", alt="two dogs"), []
    sent = clickable.get_state()
    assert (sent["value"], sent["point"], sent["alt"]) == (b"jpeg", (-1, -1), "two dogs")
    clickable.observe(lambda change: heard.append(change.new), "point")
    clickable.set_state({"point": [12, 34]})
    assert clickable.point == (12, 34) and heard == [(12, 34)]


def test_a_point_is_two_whole_numbers():
    with pytest.raises(Exception, match="point"):
        Clickable().point = (1, 2, 3)
    with pytest.raises(Exception, match="point"):
        Clickable().point = ("a", 2)


def test_the_browsers_part_is_there():
    text = str(Clickable._esm)
    assert 'model.set("point"' in text and "img.alt" in text
