"""Which device, how long it takes without being made to wait, and what is said when its memory is full."""

import pytest
import torch

from vosedu.device import Stopwatch, out_of_memory, pick_device
from vosedu.errors import InputError


def test_devices(monkeypatch):
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert pick_device().type == expected
    with pytest.raises(InputError, match="--device cpu"):
        pick_device("cuda")
    with pytest.raises(InputError, match="unknown device"):
        pick_device("tpu")


class Event:
    """Stands for torch.cuda.Event: recorded at a count of all records; done once `over` has reached that."""

    now = over = waits = 0

    def __init__(self, enable_timing=False):
        self.at = None

    def record(self):
        Event.now += 1
        self.at = Event.now

    def query(self):
        return self.at <= Event.over

    def synchronize(self):
        Event.waits += not self.query()
        Event.over = max(Event.over, self.at)

    def elapsed_time(self, other):
        return float(other.at - self.at)


def test_timing_on_a_gpu_waits_only_when_it_is_read(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    watch = Stopwatch(torch.device("cuda"))
    for k in range(3000):
        Event.over = Event.now - 50 if k % 7 else Event.now - 5000
        watch.begin()
        watch.lap("a" if k % 2 else "b")
    assert Event.waits == 0 and len(watch._events) < 1300
    assert watch.seconds() == pytest.approx({"a": 1.5, "b": 1.5}) and Event.waits > 0


def test_laps_on_a_cpu_belong_to_their_stages(monkeypatch):
    """A clock that is read by hand: what comes before `begin` belongs to no stage, the same stage is added up."""
    times = iter([0.0, 5.0, 7.0, 10.0, 20.0, 24.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    watch = Stopwatch(torch.device("cpu"))
    watch.begin()
    watch.lap("a")
    watch.lap("b")
    watch.begin()
    watch.lap("a")
    assert watch.seconds() == {"a": 2.0 + 4.0, "b": 3.0}


@pytest.mark.parametrize(("size", "words"), [((500, 300), "300x500: use --short-side 240 (64% of that)"),
                                             ((720, 1280), "--short-side 480 (44% of that)"), ((100, 90), "use --device cpu")])
def test_memory_that_is_full_names_the_setting_that_asks_for_less(size, words):
    """The next lower size, and what part of the memory it needs: a frame's part goes with its area."""
    with pytest.raises(InputError) as found, out_of_memory(size):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    assert words in str(found.value)
