"""python -m vosedu average: a mean by hand, what is kept, and what is refused."""

import pytest
import torch

from vosedu.commands import main
from vosedu.training.checkpoints import save_weights
from vosedu.weights import BUNDLED, load_pretrained, read_state, weights_file


def network(value, count):
    """One layer and its batch normalisation, all parameters of one value."""
    made = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    with torch.no_grad():
        for number in [*made.parameters(), made[1].running_mean, made[1].running_var]:
            number.fill_(value)
    made[1].num_batches_tracked.fill_(count)
    return made


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, value, count in zip(paths, (1.0, 2.0, 8.0), (5, 6, 7), strict=True):
        save_weights(path, "compact", {"refinement": network(value, count)}, (value, -value), recipe=path.stem)
    return paths


@pytest.mark.parametrize(("weights", "mean"), [((":2", ":1", ":1"), 3.0), (("", "", ""), 11 / 3)])
def test_the_mean_goes_by_weight(files, tmp_path, capsys, weights, mean):
    out = tmp_path / "new" / "mean.safetensors"
    assert main(["average", *(f"{path}{weight}" for path, weight in zip(files, weights, strict=True)), "--out", str(out)]) == 0
    state, metadata = read_state(out)
    assert len(state) == 7 and state.pop("refinement.1.num_batches_tracked") == 5
    for key, value in state.items():
        assert torch.allclose(value, torch.tensor(mean), atol=2e-3), key
    assert metadata["backbone"] == "compact" and metadata["readout"] == "[1.0, -1.0]"
    assert "a.safetensors" in metadata["recipe"] and metadata["recipe"] in capsys.readouterr().out


def test_a_mean_with_a_bundled_file_by_its_name_can_be_used(tmp_path):
    out = tmp_path / "mean.safetensors"
    assert main(["average", str(BUNDLED), "compact-free", "--out", str(out)]) == 0
    given = [out], [], [weights_file("compact-free")]
    mean, ours, free = (load_pretrained("compact", files)[1].state_dict() for files in given)
    for key, value in mean.items():
        if value.is_floating_point():
            assert torch.allclose(value, (ours[key] + free[key]) / 2, rtol=1e-2, atol=1e-3), key


def test_what_cannot_be_averaged_is_one_line(files, tmp_path, capsys):
    other, text = tmp_path / "other.safetensors", tmp_path / "mean.txt"
    save_weights(other, "compact", {"refinement": torch.nn.Linear(2, 2)})
    save_weights(tmp_path / "resnet.safetensors", "resnet18", {"refinement": network(1.0, 1)})
    kept = files[1].read_bytes()
    for given, out, line in [
        ([files[0], other], "m.safetensors", "other.safetensors holds other networks than"),
        ([files[0], tmp_path / "resnet.safetensors"], "m.safetensors", "resnet.safetensors holds other networks than"),
        ([f"{files[0]}:1", files[1]], "m.safetensors", "write FILE:WEIGHT for all of them, or for none"),
        ([f"{files[0]}:0", f"{files[1]}:1"], "m.safetensors", "no weight above 0"),
        ([files[0], tmp_path / "none.safetensors"], "m.safetensors", "no weights file at"),
        (files[:2], files[1].name, "is there already"),
        (files[:2], text.name, "is no .safetensors file"),
    ]:
        assert main(["average", *map(str, given), "--out", str(tmp_path / out)]) == 2
        err = capsys.readouterr().err
        assert line in err and err.count("\n") == 1, given
        assert not (tmp_path / "m.safetensors").exists()
    assert files[1].read_bytes() == kept and not text.exists()
