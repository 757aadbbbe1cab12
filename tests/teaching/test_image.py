"""What travels between Python and the browser for a picture."""

import pytest

from vosedu.teaching.image import Image
from vosedu.teaching.painter import Painter


def test_picture_text_and_click_go_to_the_browser_and_back():
    """All of it is in what the browser gets, and a click that comes back moves the point and tells who listens."""
    image, heard = Image(value=b"jpeg", alt="two dogs", width=300, clickable=True), []
    sent = image.get_state()
    assert (sent["value"], sent["point"], sent["alt"], sent["width"]) == (b"jpeg", (-1, -1), "two dogs", 300)
    assert sent["clickable"] is True and Image().get_state()["clickable"] is False
    image.observe(lambda change: heard.append(change.new), "point")
    image.set_state({"point": [12, 34]})
    assert image.point == (12, 34) and heard == [(12, 34)]


def test_a_point_is_two_whole_numbers():
    with pytest.raises(Exception, match="point"):
        Image().point = (1, 2, 3)
    with pytest.raises(Exception, match="point"):
        Image().point = ("a", 2)


def test_the_browsers_part_is_there():
    text = str(Image._esm)
    assert 'model.set("point"' in text and "img.alt" in text
    assert "function nameControls" in text and "function nameControls" in str(Painter._esm), "which both of them call"
