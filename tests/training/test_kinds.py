"""What each kind of training begins with, what it writes, and what it refuses."""

import pytest
import torch
from tiny_training import training

from vosedu.errors import InputError
from vosedu.refinement import Refinement
from vosedu.training.baselines import BaseTraining, load_base_net
from vosedu.training.conv5 import Conv5Training
from vosedu.training.kinds import KINDS
from vosedu.training.offline import Pretrained, Training
from vosedu.training.tuning import FeatureTuning, JointTraining
from vosedu.weights import load_pretrained, part, read_state


@pytest.fixture(scope="module")
def pretrained():
    backbone, _, readout = load_pretrained("compact")
    torch.manual_seed(7)
    return Pretrained(backbone, Refinement(backbone.channels).eval(), readout or (9.0, -4.0))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_where_a_training_begins(tmp_path, pretrained):
    """With --fine-tune from R of the weights, else from a random one; conv5_x and features always from the weights."""
    refinement, body = pretrained.refinement.state_dict(), pretrained.backbone.body.state_dict()
    conv5 = part(body, "layer4.")
    for kind, prefix in ((Training, ""), *((kind, "refinement.") for kind in (Conv5Training, BaseTraining, JointTraining))):
        tuned = training(tmp_path, kind=kind, start=kind.start(pretrained, True))[0].network.state_dict()
        fresh = training(tmp_path, kind=kind, start=kind.start(pretrained, False))[0].network.state_dict()
        assert equal(part(tuned, prefix) if prefix else tuned, refinement), kind.what
        name = f"{prefix}TSE.layer3.reduce.0.weight"
        assert fresh[name].shape == tuned[name].shape and not torch.equal(fresh[name], tuned[name]), kind.what
        if kind is Conv5Training:
            assert equal(part(tuned, "conv5."), conv5) and equal(part(fresh, "conv5."), conv5)
    for kind in (FeatureTuning, JointTraining):
        network = training(tmp_path, kind=kind, start=kind.start(pretrained, False))[0].network
        assert equal(network.backbone.body.state_dict(), body), kind.what
    with pytest.raises(InputError, match="weights that hold a refinement network"):
        Training.start(pretrained._replace(refinement=None), True)


def test_what_a_training_writes(tmp_path, pretrained):
    """Files load as the command `segment` or `table1` loads them, with what was trained, and what was not as it came."""
    body = {name: value.clone() for name, value in pretrained.backbone.body.state_dict().items()}
    found = {}
    for kind in KINDS:
        run, _ = training(tmp_path / kind.what, kind=kind, start=kind.start(pretrained, False), rate=0.5)
        run.train_step(next(iter(run.batches(0))))
        path = tmp_path / f"{kind.what}.safetensors"
        run.write(path, pretrained)
        found[kind] = (run, *read_state(path))
        assert found[kind][2]["recipe"] == "vosedu train, step 1 of 4" and found[kind][2]["backbone"] == "compact"
    assert all(torch.equal(value, body[name]) for name, value in pretrained.backbone.body.state_dict().items())

    def changed(state):
        now = part(state, "backbone.")
        assert now.keys() == body.keys()
        return {name.split(".")[0] for name in body if not torch.equal(now[name].half(), body[name].half())}

    def trained(state, prefix, network):
        return all(torch.equal(part(state, prefix)[name].half(), value.half()) for name, value in network.state_dict().items())

    run, state, notes = found[Training]
    assert changed(state) == set() and trained(state, "refinement.", run.network) and "readout" in notes
    run, state, notes = found[Conv5Training]
    assert changed(state) == {"layer4"} and trained(state, "refinement.", run.network.refinement) and "readout" in notes
    assert trained(state, "backbone.layer4.", run.network.conv5)
    run, state, notes = found[FeatureTuning]
    assert changed(state) == {"layer2", "layer3"} and trained(state, "refinement.", pretrained.refinement)
    assert trained(state, "backbone.", run.network.backbone.body) and "readout" in notes
    run, state, notes = found[JointTraining]
    assert changed(state) == {"layer2", "layer3", "layer4"} and trained(state, "refinement.", run.network.refinement)
    assert trained(state, "backbone.", run.network.backbone.body) and "readout" in notes
    run, state, notes = found[BaseTraining]
    assert all(name.startswith("base.") for name in state) and "readout" not in notes
    net = load_base_net(tmp_path / "Base net.safetensors", pretrained.backbone.channels)
    assert torch.equal(net.encoder.compare[0].weight.half(), run.network.encoder.compare[0].weight.half())
    for kind in (Training, Conv5Training, FeatureTuning, JointTraining):
        load_pretrained("compact", [tmp_path / f"{kind.what}.safetensors"])
    without = FeatureTuning.parts(found[FeatureTuning][0], pretrained._replace(refinement=None))
    assert without.keys() == {"backbone"}


def test_a_resnet_is_not_written_unless_it_was_trained(pretrained):
    class Named:
        name, body = "resnet18", pretrained.backbone.body

    assert pretrained._replace(backbone=Named).own_body == {} and pretrained.own_body.keys() == {"backbone"}


def test_flags_and_names_are_of_one_kind_each():
    assert len({kind.what for kind in KINDS}) == len({kind.flag for kind in KINDS}) == len(KINDS)
    assert [kind for kind in KINDS if not kind.flag] == [Training]
    assert BaseTraining.suffix == "-base", "table1 looks for it beside the other weights"


@pytest.mark.parametrize(("kind", "flags", "backbone"), [
    (Conv5Training, ["with-conv5", "base-net"], "compact"),
    (Conv5Training, ["with-conv5", "a-new-kind"], "compact"),
    (Conv5Training, ["with-conv5"], "mobilenet_v2"),
    (FeatureTuning, ["tune-backbone", "fine-tune"], "compact"),
    (FeatureTuning, ["tune-backbone", "base-net"], "compact"),
    (JointTraining, ["with-features", "with-conv5"], "compact"),
])
def test_what_does_not_go_together(kind, flags, backbone):
    with pytest.raises(InputError, match=f"--{kind.flag}"):
        kind.check(flags, backbone)


@pytest.mark.parametrize(("kind", "flags", "backbone"), [
    (Training, ["fine-tune"], "mobilenet_v2"),
    (Conv5Training, ["with-conv5", "fine-tune"], "resnet50"),
    (BaseTraining, ["base-net", "fine-tune"], "compact"),
    (FeatureTuning, ["tune-backbone"], "compact"),
    (JointTraining, ["with-features", "fine-tune"], "compact"),
])
def test_what_goes_together(kind, flags, backbone):
    assert kind.check(flags, backbone) is None
