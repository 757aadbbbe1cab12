"""What the Python engine computes on small and on real inputs, for the tests of the page's engine to be held to.

    python web/tests/vectors.py web/build/vectors     # .json files; arrays as base64 of little-endian numbers
"""

import base64
import json
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch

from vosedu import WHOLE, Segmenter, load_clip
from vosedu.aggregation import answer
from vosedu.augmentation import MAX_BLUR, cut_out, first_frame_samples, paste
from vosedu.beyond.leaps import leaps
from vosedu.beyond.window import Gaze, Window, Windows, joined
from vosedu.config import Config
from vosedu.features import TARGET_DEPTH
from vosedu.files.images import DAVIS_PALETTE, resized, to_size, working_size
from vosedu.loss import WeightedSamples, apply_stencil, pixel_weights, weighted_normal_form
from vosedu.memory import Memory, initial_gamma
from vosedu.solver import conjugate_gradient
from vosedu.target_model import TargetModel, first_frame_problem, initial_weights, learn, update


def plain(value):
    """Arrays and tensors as JSON can hold them."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        value = np.ascontiguousarray(value.astype({"f": "<f4", "i": "<i4", "b": "u1", "u": "u1"}[value.dtype.kind]))
        return {"dtype": str(value.dtype), "shape": value.shape, "data": base64.b64encode(value.tobytes()).decode()}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def shapes(size, seed):
    """A mask (H, W) of an ellipse with a bite."""
    rng, (height, width) = np.random.default_rng(seed), size
    mask = np.zeros(size, np.uint8)
    centre = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
    cv2.ellipse(mask, centre, (width // 4, height // 5), float(rng.uniform(0, 90)), 0, 360, 1, -1)
    mask[: height // 3, : width // 2] = 0
    return mask


def loss_vectors():
    """Pixel weights, normal forms and products, of sizes that do not divide."""
    cases = []
    for (size, to, settings) in (
        ((47, 61), (5, 7), {}),
        ((32, 32), (2, 2), {"share_rule": "min", "weight_power": "printed"}),
        ((33, 20), (3, 1), {"target_share": 0.4}),
        ((16, 50), (1, 4), {}),
        ((64, 80), (64, 80), {}),
    ):
        labels = shapes(size, len(cases))
        given = torch.from_numpy(labels).double()
        v = pixel_weights(given, **settings)
        scores = torch.randn(to, dtype=torch.float64)
        normal = weighted_normal_form(given, to, **settings)
        cases.append(dict(labels=labels, size=size, to=to, settings=settings, on_target=v[given > 0].max().item(),
                          on_background=v[given == 0].max().item(), normal=normal,
                          constant=normal.constant.item(), scores=scores, image=apply_stencil(normal.stencil, scores)))
    return cases


def product_vectors():
    """The data term on small samples: scores, loss, gradient, product."""
    found = []
    for k, c, size in ((3, 6, (5, 7)), (2, 16, (1, 3)), (1, 10, (4, 2)), (2, 7, (3, 4))):
        features = torch.randn(1, k, c, size[0] * size[1])
        labels = torch.stack([torch.from_numpy(shapes((size[0] * 9, size[1] * 9), s)) for s in range(k)]).float()[None]
        normal, gamma = weighted_normal_form(labels, size), torch.rand(1, k)
        samples, taps = WeightedSamples(features, normal, gamma), torch.randn(1, 9, c)
        found.append(dict(size=size, label_size=labels.shape[-2:], features=features[0], labels=labels[0], gamma=gamma[0],
                          taps=taps[0], scores=samples.scores(taps)[0], loss=samples.loss(taps).item(),
                          gradient=samples.gradient(taps)[0], product=samples.product(taps)[0]))
    return found


def solver_vectors():
    """CG on a small system."""
    root = torch.randn(12, 12, dtype=torch.float64)
    matrix, rhs = root @ root.T + torch.eye(12), torch.randn(1, 12, dtype=torch.float64)
    steps = []
    conjugate_gradient(lambda p: p @ matrix, rhs, 8, lambda i, p, norm: steps.append((p[0].clone(), norm.item())))
    return dict(matrix=matrix, rhs=rhs[0], steps=[dict(p=p, residual=norm) for p, norm in steps])


def memory_vectors():
    """Slots and weights over 120 insertions, with and without a share for the first frame."""
    cases = []
    for share, capacity in ((0.0, 12), (0.5, 12), (0.5, 7), (0.5, 80)):
        projected, gamma = torch.zeros(1, 5, 1, 1), initial_gamma(1, 5, 2.0, torch.zeros(1))
        labels = torch.zeros(1, 5, 8, 8)
        memory = Memory(projected, weighted_normal_form(labels, (1, 1)), gamma, capacity, 0.1, share)
        empty, states = weighted_normal_form(labels[:, 0], (1, 1)), []
        for n in range(120):
            memory.insert(torch.full((1, 1, 1), n + 1.0), empty, torch.tensor([n % 7 != 3]))
            states.append(dict(gamma=memory.gamma[0].clone(), slots=memory.projected[0, :, 0, 0].clone(), valid=n % 7 != 3))
        cases.append(dict(first_share=share, capacity=capacity, learning_rate=0.1, first=5, states=states))
    return cases


def aggregation_vectors():
    """Labels at two sizes by both rules."""
    logits = torch.randn(3, 9, 13) * 4
    cases = []
    for rule in ("softmax", "min"):
        found = answer(logits, [2, 5, 7], (20, 31), rule)
        cases.append(dict(rule=rule, ids=[2, 5, 7], size=(20, 31), logits=logits, **found._asdict()))
    return cases


def image_vectors():
    """Resizing, palette, pasting."""
    frame = load_clip("huddle", frames=1).frames[0][:123, :211]
    sizes = [(61, 105), (41, 70), (100, 170), (150, 300)]
    clip = load_clip("huddle", short_side=120, frames=1)
    mask = (clip.masks[0] == 1).astype(np.uint8)
    pieces, pasted = cut_out(clip.frames[0], mask), []
    for angle, scale, shift, blur in ((0.0, 1.0, (0, 0), 0.0), (0.3, 1.2, (9.5, -4.25), 0.7), (-0.4, 0.7, (-20.0, 6.0), 0.0)):
        warp = np.array([[scale * np.cos(angle), -scale * np.sin(angle), 30 * (1 - scale) + shift[0]],
                         [scale * np.sin(angle), scale * np.cos(angle), 20 * (1 - scale) + shift[1]]])
        image, label = paste(pieces, warp, blur)
        pasted.append(dict(warp=warp.ravel().tolist(), blur=blur, image=image, label=label))
    labels = shapes((50, 70), 3)
    given = ((480, 854), 240), ((100, 400), 240), ((1080, 1920), 0), ((40, 50), 360), ((854, 480), 360)
    return dict(frame=frame, resized=[dict(size=s, image=resized(frame, s)) for s in sizes], palette=DAVIS_PALETTE[:40],
                labels=labels, to_size=[dict(size=s, labels=to_size(labels, s)) for s in ((25, 35), (33, 90))],
                working=[dict(size=s, short_side=r, to=working_size(s, r)) for s, r in given],
                clip=clip.frames[0], mask=mask, background=pieces.background, pasted=pasted, max_blur=MAX_BLUR)


def window_vectors():
    """Where a window goes while an object moves, shrinks, is lost and returns; what is laid into the frame, and seen of it."""
    size, working, states = (90, 160), (45, 80), []
    gaze = Gaze(size, 0.06, 3.0)
    for n in range(24):
        mask = np.zeros(size, np.uint8)
        if not 9 <= n < 15:
            radius = 8 if n < 6 else 4 if n < 9 else 14
            cv2.circle(mask, (20 + 5 * n, 60 - 2 * n), radius, 1, -1)
        gaze.follow(mask, 10)
        states.append(dict(mask=mask, zoom=float(gaze.zoom), area=float(gaze.area), window=[int(n) for n in gaze.window]))
    windows = Windows(size, working, 0.06, 3.0)
    frame = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = states[3]["mask"] + 2 * states[20]["mask"]
    for i in (1, 2):
        views = windows.first(frame, labels == i)
    windows.look(frame)
    maps, masks = torch.randn(2, *working), torch.from_numpy(np.stack([labels == i for i in (1, 2)])).float()
    return dict(size=size, working=working, states=states, frame=frame, labels=labels, seen=[mask for _, mask in views],
                pictures=[picture for picture, _ in views], now=[[int(n) for n in window] for window in windows.now], maps=maps,
                spread=windows.spread(maps, size), through=windows.through(masks), joined=joined_vectors(size))


def joined_vectors(size):
    """Windows of several objects, and which of them become one."""
    cases, rng = [], np.random.default_rng(5)
    for count, limit in ((2, 1.3), (3, 1.3), (5, 1.6), (8, 2.0), (4, 1.0)):
        given = []
        for _ in range(count):
            zoom = rng.uniform(1.2, 3)
            height, width = round(size[0] / zoom), round(size[1] / zoom)
            given.append(Window(int(rng.integers(size[0] - height)), int(rng.integers(size[1] - width)), height, width))
        cases.append(dict(limit=limit, given=given, joined=[list(window) for window in joined(given, limit, size)]))
        cases[-1]["given"] = [list(window) for window in given]
    return cases


def leap_vectors():
    """Masks of blots beside the mask before, and what is dropped of them."""
    cases, size, rng = [], (60, 90), np.random.default_rng(8)
    for _ in range(40):
        before, mask = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        cv2.circle(before, (30, 30), 14, 1, -1)
        cv2.circle(mask, (30 + int(rng.integers(-4, 5)), 30), int(rng.integers(9, 15)), 1, -1)
        for _ in range(int(rng.integers(1, 4))):
            cv2.circle(mask, (int(rng.integers(90)), int(rng.integers(60))), int(rng.integers(1, 10)), 1, -1)
        cases.append(dict(mask=mask, before=before, dropped=leaps(mask, before, 0.1)))
    return dict(size=size, reach=0.1, cases=cases)


def learning_vectors():
    """D on a bundled scene at 120 rows: the whole first-frame optimisation, a later frame's scores, an update; F and R too."""
    config = Config(**asdict(WHOLE) | {"samples": 6, "channels": 32, "filter_decay": 300.0})
    clip = load_clip("huddle", short_side=120, frames=9)
    segmenter = Segmenter.from_pretrained("compact", config=config, device="cpu")
    mask = (clip.masks[0] == 1).astype(np.uint8)
    images, labels = first_frame_samples(clip.frames[0], mask, config.samples, 0)
    maps = segmenter.features(images)
    features, size = maps[TARGET_DEPTH].flatten(2)[None].contiguous(), tuple(maps[TARGET_DEPTH].shape[-2:])
    normal = weighted_normal_form(torch.from_numpy(labels)[None].float(), size, config.target_share)
    gamma = initial_gamma(1, config.samples, config.first_weight, features)
    start = initial_weights(1, features.shape[2], config.channels, torch.Generator().manual_seed(0))
    problem, scaled, _ = first_frame_problem(features, normal, gamma, config, 0)
    iterates, losses = [], [problem.loss(scaled).item()]
    model = learn(features, normal, gamma, config, 0, lambda it: iterates.append(it.residual.item()))
    later = segmenter.features(clip.frames[8:9])
    projected = model.project(later[TARGET_DEPTH][0])
    scores = model.scores(projected)
    memory = Memory(model.project(features), normal, gamma, config.capacity, config.learning_rate, config.first_share)
    found = torch.from_numpy(clip.masks[8] == 1).float()[None]
    memory.insert(projected.flatten(2), weighted_normal_form(found, size, config.target_share), torch.tensor([True]))
    updated = update(model, *memory.samples(), config)
    exact, early, residuals = learned_in_double(features, labels, size, later[TARGET_DEPTH][0], config)
    two = torch.stack([scores[0], scores[0].flip(1)])
    return dict(config=asdict(config), size=size, frame_size=clip.size, images=images, labels=labels, features=features[0],
                start=start[0], losses=losses, end_loss=problem.loss(_unknowns(model, problem)).item(), residuals=iterates,
                exact_residuals=residuals, frame=clip.frames[8], later=[x[0] for x in later], projection=model.projection[0],
                taps=model.taps[0], scores=scores[0], exact_scores=exact, early_scores=early, found=found[0].byte(),
                updated_scores=updated.scores(projected)[0], two=two, logits=segmenter.logits(later, two, clip.size))


def learned_in_double(features, labels, size, later, config):
    """Scores on a later frame at the end of learning, and scores and residuals after each of the first CG iterations, in double
    precision: rounding grows on the way to about 1e-2 in float32, in PyTorch as well."""
    features, later, early, residuals = features.double(), later.double(), [], []
    normal = weighted_normal_form(torch.from_numpy(labels)[None].double(), size, config.target_share)
    gamma = initial_gamma(1, config.samples, config.first_weight, features)
    problem, _, condition = first_frame_problem(features, normal, gamma, config, 0)

    def note(iterate):
        if iterate.step == 0:
            w1, w2 = problem.split(iterate.w)
            early.append(TargetModel(w1 @ condition.matrix, torch.zeros(1, config.channels, 1).double(), w2))
            residuals.append(iterate.residual.item())

    model = learn(features, normal, gamma, config, 0, note)
    return model.scores(model.project(later))[0], torch.stack([m.scores(m.project(later))[0] for m in early]), residuals


def _unknowns(model: TargetModel, problem) -> torch.Tensor:
    """(w1, w2) of a learned model, before its conditioning was folded in."""
    w1 = model.projection @ torch.linalg.inv(problem.matrix)
    return torch.cat([w1.flatten(1), model.taps.flatten(1)], dim=1)


def main(folder: Path) -> None:
    """Write all of them."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        for name, make in dict(loss=loss_vectors, products=product_vectors, solver=solver_vectors, memory=memory_vectors,
                               aggregation=aggregation_vectors, images=image_vectors, window=window_vectors, leaps=leap_vectors,
                               learning=learning_vectors).items():
            (folder / f"{name}.json").write_text(json.dumps(plain(make())))
            print(folder / f"{name}.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
