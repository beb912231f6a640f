import re
import time

import torch
from torch import nn

from mmsrnas.analysis import measure_latency


class Sleeper(nn.Module):
    """Takes the given seconds, one after the other."""

    def __init__(self, *seconds):
        super().__init__()
        self.seconds = list(seconds)
        self.threads = []

    def forward(self, x):
        self.threads.append(torch.get_num_threads())
        self.layout = x.is_contiguous(memory_format=torch.channels_last)
        time.sleep(self.seconds.pop(0))
        return x


def test_median_of_the_passes_after_the_warm_up():
    latency = measure_latency(Sleeper(0.3, 0.02, 0.1, 0.04), (3, 4, 4), repeats=3)
    assert 0.04 <= latency.seconds < 0.09
    assert 0.02 <= latency.fastest < latency.seconds < 0.1 <= latency.slowest < 0.3


def test_threads_and_layout_are_set_stated_and_put_back():
    before = torch.get_num_threads()
    network = Sleeper(0, 0)
    latency = measure_latency(network, (3, 4, 5), threads=2, channels_last=True, repeats=1)
    assert network.threads == [2, 2]
    assert network.layout
    assert torch.get_num_threads() == before
    for words in ("2 threads", "channels-last", "fp32", "5x4 in", torch.__version__):
        assert words in latency.conditions


def test_autocast_is_bfloat16():
    class Probe(nn.Conv2d):
        def forward(self, x):
            out = super().forward(x)
            self.dtype_out = out.dtype
            return out

    network = Probe(3, 3, 1)
    assert "bf16" in measure_latency(network, (3, 4, 4), bf16=True, repeats=1).conditions
    assert network.dtype_out == torch.bfloat16


def test_reads_as_a_sentence():
    text = str(measure_latency(Sleeper(0, 0), (3, 4, 4), threads=1, repeats=1))
    assert re.match(r"[\d.]+ ms \(median; [\d.]+ to [\d.]+ ms\) on .+ CPU, 1 thread, ", text)


def test_fastest_and_slowest_are_of_the_measured_passes(monkeypatch):
    """By a clock that only passes move; in no order, and apart from the warm-up."""
    seconds = iter([9.0, 0.3, 0.1, 0.7, 0.2])  # the first one is the warm-up
    clock = [0.0]

    class Pass(nn.Module):
        def forward(self, x):
            clock[0] += next(seconds)
            return x

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    latency = measure_latency(Pass(), (3, 4, 4), repeats=4)
    found = (latency.fastest, latency.seconds, latency.slowest)
    torch.testing.assert_close(found, (0.1, 0.25, 0.7))
    assert "250.0 ms (median; 100.0 to 700.0 ms)" in str(latency)
