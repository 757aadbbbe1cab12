"""Checkpoints: when they are due, what they hold, when they are not used, and what Ctrl-C does; with a clock moved by hand."""

import signal
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from helpers import FINDS, ROOM, moving_shapes

from vosedu.commands import checkpoint as module
from vosedu.commands.checkpoint import Checkpoint, interruptible
from vosedu.files.clip import Clip
from vosedu.files.images import write_mask


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only where a test lets them."""
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Writer:
    """Calls at once what a `BackgroundWriter` would queue."""

    def submit(self, function, *arguments):
        function(*arguments)


class Watch:
    def __init__(self, **seconds):
        self.found = seconds

    def seconds(self):
        return self.found


@pytest.fixture
def started(quick_segmenter, tmp_path):
    """A video after its second frame, its source, and a folder with the masks so far."""
    frames, labels = moving_shapes(4, ROOM)
    segmenter, source = quick_segmenter.changed(config=replace(FINDS, update_every=2)), Clip("c", frames, labels)
    video = segmenter.start(frames[0], labels[0])
    for t in (0, 1):
        write_mask(tmp_path / f"{t:05d}.png", labels[t])
    video.step(frames[1])
    return segmenter, video, source, tmp_path


def test_what_was_written_is_loaded_and_goes_on(started, clock):
    """State and seconds; the next frame gives the same bits."""
    segmenter, video, source, folder = started
    first = Checkpoint(folder)
    clock.now += 5
    first.write(video, Writer())
    second = Checkpoint(folder)
    restored = second.load(segmenter, source)
    assert restored.frame_index == 1 and restored.ids == [1]
    assert second.seconds == 5 and second.stages == video.stopwatch.seconds() and "memory" in second.stages
    assert torch.equal(restored.step(source.frames[2]), video.step(source.frames[2]))


def test_seconds_of_every_process_are_added_up(started, clock):
    """Five of the first, then three and another two: in all ten, and by stage likewise, also where a stage is new."""
    segmenter, video, source, folder = started
    total, stages = 0.0, {"features": 0.0}
    for took, spent in ((5, {"features": 2.0}), (3, {"features": 1.0, "update": 0.25}), (2, {"update": 0.5})):
        checkpoint = Checkpoint(folder)
        checkpoint.load(segmenter, source)
        assert (checkpoint.seconds, checkpoint.stages) == (total, stages if total else {})
        clock.now += took
        total += took
        stages = {stage: stages.get(stage, 0.0) + spent.get(stage, 0.0) for stage in {**stages, **spent}}
        video.stopwatch = Watch(**spent)
        assert checkpoint.elapsed() == total and checkpoint.spent(video) == stages
        checkpoint.write(video, Writer())
    assert (total, stages) == (10, {"features": 3.0, "update": 0.75})


def test_a_checkpoint_is_due_after_its_seconds_and_again_after_as_many(started, clock, monkeypatch):
    """Or after twenty times what writing one took, where that is longer; on demand at once; with 0 after every frame."""
    _, video, _, folder = started
    took, written = [1.0], []

    def write(path, content):
        written.append(path.name)
        clock.now += took[0]

    monkeypatch.setattr(module, "write_bytes", write)
    checkpoint, begun = Checkpoint(folder, every=10), clock.now

    def after(at, **how):
        clock.now = begun + at
        count = len(written)
        if how.get("now") or clock.now >= checkpoint.due:
            checkpoint.write(video, Writer())
        return len(written) > count

    assert not after(9.5) and after(10.5)  # written until 11.5, so due twenty seconds later
    assert not after(31) and after(32)
    took[0] = 0.1
    assert after(34, now=True) and not after(44) and after(45)
    checkpoint = Checkpoint(folder, every=0)
    took[0] = 5.0
    assert after(50) and after(55) and after(60)


def test_a_slow_disk_has_at_most_one_checkpoint_waiting(started, clock):
    """One that is queued and not yet written keeps others away, unless it is asked for."""
    _, video, _, folder = started
    queued = []

    class Slow:
        def submit(self, *job):
            queued.append(job)

    checkpoint = Checkpoint(folder, every=0)
    for _ in range(3):
        clock.now += 100
        if clock.now >= checkpoint.due:
            checkpoint.write(video, Slow())
    assert len(queued) == 1
    checkpoint.write(video, Slow())
    assert len(queued) == 2
    queued[0][0](*queued[0][1:])
    clock.now += 100
    if clock.now >= checkpoint.due:
        checkpoint.write(video, Slow())
    assert len(queued) == 3


@pytest.mark.parametrize("how", ["absent", "damaged", "a mask is gone", "another size", "without notes", "another's state"])
def test_what_cannot_be_used_is_not_loaded(started, how):
    segmenter, video, source, folder = started
    Checkpoint(folder).write(video, Writer())
    path = folder / "checkpoint.safetensors"
    assert Checkpoint(folder).load(segmenter, source) is not None
    if how == "absent":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "a mask is gone":
        (folder / "00001.png").unlink()
    elif how == "another size":
        source = Clip("c", source.frames[:, :-32], source.masks[:, :-32])
    elif how == "without notes":
        path.write_bytes(module.safetensors.torch.save(video.state()))
    else:
        state = {name: part for name, part in video.state().items() if name != "targets.model.taps"}
        path.write_bytes(module.safetensors.torch.save(state, {"notes": '{"seconds": 1, "stages": {}}'}))
    again = Checkpoint(folder)
    assert again.load(segmenter, source) is None and (again.seconds, again.stages) == (0.0, {})


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal: where the tests run in the background, it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_ctrl_c_is_kept_for_the_loop_and_the_second_acts(ctrl_c):
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ValueError), interruptible():
        raise ValueError
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_are_left_alone():
    found, before = [], signal.getsignal(signal.SIGINT)

    def work():
        with interruptible() as stop:
            found.append((stop.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)]
