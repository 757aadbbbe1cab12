"""Widgets without a browser: a slider goes in, pixels come out."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import FINDS, moving_shapes
from matplotlib import colormaps

from vosedu.config import BEST
from vosedu.features import TARGET_DEPTH
from vosedu.files import datasets
from vosedu.files.images import to_size
from vosedu.memory import initial_gamma
from vosedu.refinement import Refinement
from vosedu.target_model import learn
from vosedu.teaching.augmentation import WarpBench
from vosedu.teaching.evaluation import CurveReader
from vosedu.teaching.features import Probe
from vosedu.teaching.gauss_newton_cg import Microscope
from vosedu.teaching.inference_and_updating import MemoryStrip
from vosedu.teaching.offline_training import TrainingView
from vosedu.teaching.pictures import boundary_picture, pca_colours, row, score_picture, with_scale
from vosedu.teaching.player import VIEWS, Player
from vosedu.teaching.refinement import BlobBench, DepthBench, refinement_diagram
from vosedu.teaching.tour import Tour
from vosedu.teaching.weighted_l2_loss import Relearner
from vosedu.teaching.widget import setup


def decode(player):
    return cv2.imdecode(np.frombuffer(player.image.value, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_player_shows_the_frame_of_its_slider():
    frames, labels = moving_shapes(5)
    scores = [label[::16, ::16].astype(float) for label in labels]
    colours = [cv2.applyColorMap((85 * label[::16, ::16]).astype(np.uint8), cv2.COLORMAP_VIRIDIS) for label in labels]
    assert Player(list(frames), scores, list(labels)).view.options == VIEWS[1:]
    player = Player(list(frames), scores, list(labels), colours)
    height, width = frames[0].shape[:2]
    assert np.array_equal(player.picture(2, "all")[height // 4 : height, width : 2 * width],
                          cv2.resize(colours[2], (width, height), interpolation=cv2.INTER_NEAREST)[height // 4 :])
    shown = {}
    for view in VIEWS:
        player.view.value = view
        for index in (0, 4):
            player.index.value = index
            shown[view, index] = decode(player)
            assert np.abs(shown[view, index].astype(int) - player.picture(index, view)).mean() < 6
        assert np.abs(shown[view, 0].astype(int) - shown[view, 4]).max() > 60
    assert np.abs(shown["frame", 0].astype(int) - frames[0]).mean() < 6


def test_tour_runs_the_chosen_object_from_its_own_first_mask(segmenter):
    quick = copy.copy(segmenter)
    quick.config = replace(BEST, samples=4, channels=16)
    tour = Tour(quick, "tumble", height=96)
    tour.scene.value = "late"
    assert [text for text, _ in tour.object.options] == ["tabby cat", "blue car"]
    tour.object.value = 2
    player = tour.run()
    assert tour.player is player and tour.stage.children == (player.widget,) and not tour.button.disabled
    scene = datasets.scene("late")
    assert len(player.frames) == len(player.labels) == len(player.scores) == len(player.colours) == 40 - 23
    assert np.array_equal(player.labels[0], to_size((scene.labels(23) == 2).astype(np.uint8), (96, 171)))
    assert tour.bar.value == tour.bar.max == 17


def test_memory_strip_draws_areas_in_proportion_to_weights():
    red, blue = (np.broadcast_to(np.uint8(c), (40, 80, 3)) for c in ((250, 0, 0), (0, 0, 250)))
    strip = MemoryStrip([red, blue], np.array([[1.0, 0.0], [0.75, 0.25]]), first=1)
    colours = red[0, 0].astype(int), blue[0, 0].astype(int)
    area = [[(np.abs(strip.picture(t) - c).max(axis=2) < 5).sum() for c in colours] for t in (0, 1)]
    assert area[0][1] == 0 and area[1][0] / area[0][0] == pytest.approx(0.75, rel=0.03)
    assert area[1][0] / area[1][1] == pytest.approx(3, rel=0.05)
    above, below = np.vsplit(strip.picture(1), 2)
    assert (np.abs(above - colours[1]).max(axis=2) >= 5).all() and (np.abs(below - colours[0]).max(axis=2) >= 5).all()
    before = strip.image.value
    strip.index.value = 0
    assert strip.image.value != before


def test_score_colours_have_fixed_limits():
    table = (colormaps["viridis"]([0, 255])[:, :3] * 255).astype(np.uint8)
    found = score_picture(np.array([[-0.5, 1.5], [-9.0, 9.0]]))
    assert np.array_equal(found, [[table[0], table[1]], [table[0], table[1]]])


def test_scale_is_drawn_into_the_corner_alone():
    picture = np.full((60, 120, 3), 200, np.uint8)
    found = with_scale(picture)
    assert (picture == 200).all() and (found[:30] == 200).all() and (found[:, :50] == 200).all()
    table = (colormaps["viridis"]([0, 255])[:, :3] * 255).astype(int)
    assert np.abs(found[52, [54, 113]].astype(int) - table).max() < 8


def test_setup_prints_versions_device_and_seed(capsys):
    setup(3)
    out = capsys.readouterr().out
    assert "torch" in out and "seed: 3" in out and "device:" in out


@pytest.fixture(scope="module")
def first_frame(segmenter):
    frames, labels = moving_shapes(3, size=(96, 160))
    quick = copy.copy(segmenter)
    quick.config = replace(FINDS, channels=16)
    return quick, frames, labels, quick.first_frame(frames[0], labels[0])


def test_microscope_goes_through_the_solve(first_frame):
    """Its last iterate is what `learn` gives, its losses those of eq. (2), and its slider draws."""
    segmenter, frames, _, samples = first_frame
    config = segmenter.config
    microscope = Microscope(frames[0], samples, config)
    assert len(microscope.losses) == len(microscope.residuals) == len(microscope.scores) == 1 + sum(config.gn_schedule())
    assert microscope.losses[-1] < 0.5 * microscope.losses[0]
    gamma = initial_gamma(1, 4, config.first_weight, samples.features)
    model = learn(samples.features, samples.normal(config), gamma, config)
    first = model.scores(model.project(samples.features[0, 0].unflatten(1, samples.size)))[0]
    assert np.allclose(microscope.scores[-1], first.numpy(), atol=1e-3) and first.max() > 0.5
    pictures = []
    for index in (0, len(microscope.losses) - 1):
        microscope.index.value = index
        pictures.append(decode(microscope).astype(int))
    assert pictures[0].shape == (96, 320, 3) and np.abs(pictures[0] - pictures[1]).max() > 60


def test_relearner_learns_what_its_sliders_say(first_frame):
    segmenter, frames, _, samples = first_frame
    late = segmenter.features(frames[2][None])[TARGET_DEPTH][0]
    relearner = Relearner([frames[0], frames[2]], samples, late, segmenter.config)
    before = decode(relearner).astype(int)
    assert before.shape == (96, 320, 3) and "0.10" in relearner.note.value
    relearner.share.value = 0.5
    assert "0.50" in relearner.note.value
    relearner.decay.value = 6.0
    weak = relearner.learn()[0].taps.abs().max()
    relearner.decay.value = 0.0
    assert weak < relearner.learn()[0].taps.abs().max()
    relearner.shift.value = 48
    assert np.abs(decode(relearner).astype(int) - before).max() > 40


def test_relearner_takes_eq_4_as_meant_and_as_printed(first_frame):
    segmenter, frames, _, samples = first_frame
    late = segmenter.features(frames[-1][None])[TARGET_DEPTH][0]
    relearner = Relearner([frames[0], frames[-1]], samples, late, segmenter.config)
    shares = {}
    for name, rule in Relearner.RULES:
        relearner.rule.value = rule
        shares[name.split(",")[0] + rule[1]] = relearner.learn()[1]
        assert f"{relearner.learn()[1]:.2f}" in relearner.note.value
    size = samples.labels.mean().item()
    assert size < 0.1 and shares["maxroot"] == pytest.approx(0.1, abs=1e-3)
    assert shares["maxprinted"] > 0.15 and shares["minprinted"] == pytest.approx(size, rel=0.05)


def test_row_draws_every_picture():
    pictures = [np.full((10, 20, 3), 30 * k, np.uint8) for k in range(3)]
    row(pictures, ["a", "b", "c"])
    axes = plt.gcf().axes
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"] and np.array_equal(axes[2].images[0].get_array(), pictures[2])
    row(pictures, ["a", "b", "c"], limits=(0, 2))
    assert plt.gcf().axes[3].get_ylim() == (0, 2)
    plt.close("all")


def test_the_diagram_names_what_refinement_has():
    refinement_diagram()
    texts = " ".join(text.get_text() for text in plt.gcf().axes[0].texts)
    assert all(f"conv{d}_x" in texts for d in (2, 3, 4, 5)) and texts.count("TSE") == 4 + 1 and texts.count("CAB") == 4
    plt.close("all")


def test_pca_colours_follow_the_features():
    """Two regions of different features get two colours, and a basis makes two maps comparable."""
    g = torch.Generator().manual_seed(0)
    kinds = torch.randn(2, 20, generator=g)
    where = torch.zeros(6, 8, dtype=torch.long)
    where[:, 4:] = 1
    features = kinds[where].permute(2, 0, 1) + 0.01 * torch.randn(20, 6, 8, generator=g)
    colours, basis = pca_colours(features)
    assert colours.shape == (6, 8, 3) and colours.dtype == np.uint8
    assert np.abs(colours[:, :4, 0].mean() - colours[:, 4:, 0].mean()) > 100
    mirrored, _ = pca_colours(features.flip(2), basis)
    assert np.array_equal(mirrored, colours[:, ::-1])


def test_probe_finds_the_probed_position(segmenter):
    frames, _ = moving_shapes(2)
    maps = [segmenter.features(frame[None]) for frame in frames]
    probe = Probe(frames, [maps[0], maps[0]])
    probe.x.value, probe.y.value = 70, 40
    assert np.unravel_index(probe.similarity().argmax(), (6, 8)) == (40 // 16, 70 // 16)
    assert probe.similarity().max() == pytest.approx(1, abs=1e-4)
    spread = np.ptp(probe.similarity())
    probe.centred.value = True
    assert np.ptp(probe.similarity()) > spread and probe.similarity()[40 // 16, 70 // 16] == pytest.approx(1, abs=1e-4)
    probe.centred.value = False
    before = decode(probe).astype(int)
    probe.depth.value = 1
    assert probe.similarity().shape == (24, 32) and np.abs(decode(probe).astype(int) - before).max() > 40


def test_a_click_on_the_first_frame_moves_the_probe(segmenter):
    frames, _ = moving_shapes(2)
    maps = [segmenter.features(frame[None]) for frame in frames]
    probe = Probe(frames, maps)
    before = probe.image.value
    probe.image.point = (70, 41)
    assert (probe.x.value, probe.y.value) == (70, 41) and probe.image.value != before
    probe.image.point = (frames[0].shape[1] + 5, 3)
    assert (probe.x.value, probe.y.value) == (70, 41), "the second frame is not probed"


def test_boundary_picture_tells_right_from_wrong_edges():
    frame, truth = np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), np.uint8)
    truth[20:40, 20:40] = 1
    prediction = truth.copy()
    prediction[20:40, 20:60] = 1  # the right edge is twenty pixels off
    picture = boundary_picture(frame, prediction, truth)
    assert tuple(picture[30, 19]) == (60, 220, 90)
    assert tuple(picture[30, 59]) == (255, 60, 220)
    assert tuple(picture[30, 39]) == (255, 255, 255)


def test_warp_bench_moves_image_and_mask():
    frames, labels = moving_shapes(1)
    bench = WarpBench(frames[0], labels[0])
    assert np.array_equal(bench.sample()[1], labels[0])
    before = decode(bench).astype(int)
    bench.shift.value = 40
    assert np.array_equal(bench.sample()[1][:, 40:], labels[0][:, :-40])
    bench.scale.value = 2.0
    assert 3 < bench.sample()[1].sum() / labels[0].sum() < 5
    assert np.abs(decode(bench).astype(int) - before).max() > 60


@pytest.fixture(scope="module")
def refining(quick_segmenter):
    segmenter = copy.copy(quick_segmenter)
    torch.manual_seed(0)
    segmenter.refinement = Refinement(segmenter.backbone.channels).eval().requires_grad_(False)
    return segmenter


def test_depth_bench_gives_zeros_for_a_depth_that_is_off(refining):
    frames, labels = moving_shapes(1)
    features = refining.features(frames[0][None])
    refining.refinement.project.conv2.bias -= refining.logits(features, torch.zeros(1, 6, 8), (96, 128)).median()
    bench = DepthBench(refining, frames[0], torch.zeros(6, 8), features, labels[0])
    full = refining.logits(features, torch.zeros(1, 6, 8), (96, 128))[0] > 0
    assert np.array_equal(bench.mask(), full.numpy()) and 0.1 < full.float().mean() < 0.9
    assert bench.note.value.startswith("J 0.")
    before = bench.image.value
    bench.switches[0].value = False
    blanked = [features[0], torch.zeros_like(features[1]), *features[2:]]
    assert np.array_equal(bench.mask(), (refining.logits(blanked, torch.zeros(1, 6, 8), (96, 128))[0] > 0).numpy())
    bench.switches[2].value = bench.switches[3].value = False
    assert bench.image.value != before


def test_curve_reader_opens_at_the_worst_frame_and_follows_its_slider():
    frames, labels = moving_shapes(5)
    scores = [label[::16, ::16].astype(float) for label in labels]
    lost = labels.copy()
    lost[3] = 0
    reader = CurveReader({"kept": (frames, labels, labels, scores), "lost": (frames[:4], lost[:4], labels[:4], scores[:4])})
    assert reader.curves["kept"].min() == 1 and reader.curves["lost"].tolist() == [1, 1, 1, 0]
    reader.video.value = "lost"
    assert (reader.index.value, reader.index.max) == (3, 3)
    worst = decode(reader).astype(int)
    assert worst.shape == (96 + 48, 256, 3)
    reader.index.value = 0
    assert np.abs(decode(reader).astype(int) - worst)[96:].max() > 60, "the marker moves"
    reader.video.value = "kept"
    assert reader.index.max == 4


def test_training_view_keeps_every_checkpoint():
    frames, labels = moving_shapes(1, (96, 176))
    shot = SimpleNamespace(frame=frames[0], mask=labels[0])
    view = TrainingView(SimpleNamespace(draw=lambda index, rng: shot))
    blank = decode(view).astype(int)
    for step, sharpness in ((20, 0.1), (40, 5.0)):
        logits = torch.from_numpy(sharpness * (2.0 * labels - 1))
        view(SimpleNamespace(step=step, trained=lambda: None, logits=lambda net, clips, frame, found=logits: (found, None)))
    assert view.steps == [20, 40] and view.losses[1] < view.losses[0] and view.index.value == view.index.max == 1
    last = decode(view).astype(int)
    assert last.shape == (192, 704, 3) and np.array_equal(view.masks[1], labels[0] > 0) and blank.shape != last.shape
    view.index.value = 0
    assert np.abs(decode(view).astype(int) - last).max() > 60


def test_blob_bench_changes_what_refinement_is_given(refining):
    frames, _ = moving_shapes(1)
    bench = BlobBench(refining, frames[0], torch.zeros(6, 8), refining.features(frames[0][None]))
    bench.radius.value = 0
    assert not bench.blob().any() and bench.survives() == 0
    bench.x.value, bench.y.value, bench.radius.value = 40, 40, 1
    before = decode(bench).astype(int)
    assert bench.blob().sum() in (1, 2, 4) and bench.blob()[2, 2]
    bench.x.value, bench.radius.value = 100, 3
    assert bench.blob()[2, 6] and np.abs(decode(bench).astype(int) - before).max() > 60
    assert 0 <= bench.survives() <= 1
