"""Commands beside `segment`: none replaces a file that it did not make, and each says so before it computes."""

import json

import pytest

from vosedu.commands import main


@pytest.mark.parametrize(("words", "name"), [
    (["bench", "--json", "OUT/r.json"], "r.json"),
    (["bench", "--figure", "OUT/r.png"], "r.png"),
    (["export", "--out", "OUT"], "R.onnx"),
    (["export", "--out", "OUT"], "networks.json"),
    (["train", "--rendered", "DATA", "--out", "OUT", "--quiet"], "compact.safetensors"),
    (["distill", "--teacher", "none.pt", "--images", "DATA", "--out", "OUT"], "compact.safetensors"),
    (["table1", "davis2016", "--root", "DATA", "--out", "OUT", "--quiet"], "table1.json"),
    (["evaluate", "davis2016", "--root", "DATA", "--json", "OUT/r.json", "--quiet"], "r.json"),
])
def test_a_file_of_the_user_s_stays(davis, tmp_path, capsys, words, name):
    out = tmp_path / "out"
    out.mkdir()
    mine = json.dumps({"mine": 1}) if name.endswith(".json") else "mine"
    (out / name).write_text(mine)
    words = [word.replace("OUT", str(out)).replace("DATA", str(davis)) for word in words]
    assert main(words) == 2
    said = capsys.readouterr()
    assert name in said.err and "there already" in said.err and said.err.splitlines()[-1].startswith("vosedu: ")
    assert (out / name).read_text() == mine and [p.name for p in out.iterdir()] == [name]
