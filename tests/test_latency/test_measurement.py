"""Measurement: medians of samples in turn, and the refusal of a busy machine."""

import contextlib
import time

import pytest
import torch
from torch import nn

from mmsrnas.latency import (
    NoisyMeasurementError,
    measure,
    measure_all,
    parse_target,
    peak_memory,
)
from mmsrnas.latency import measurement as module

TARGET = parse_target("torch:cpu:1:16x16")


@pytest.fixture
def scripted(monkeypatch):
    """Networks are lists of the times that they take."""

    def play(networks, **kwargs):
        script = {name: iter(times) for name, times in networks.items()}

        def times(calls, target, samples):
            return {name: [next(script[name]) for _ in range(samples)] for name in calls}

        monkeypatch.setattr(module, "prepare", lambda net, target: contextlib.nullcontext(net))
        monkeypatch.setattr(module, "time_calls", times)
        return measure_all(networks, TARGET, samples=3, **kwargs)

    return play


def test_median_and_spread(scripted):
    found = scripted({"a": [10.0, 10.4, 9.8], "b": [1.0, 1.0, 1.0]})
    assert found["a"].milliseconds == 10.0
    assert found["a"].spread == pytest.approx((10.2 - 9.9) / 10)
    assert list(found) == ["a", "b"]


def test_a_noisy_moment_is_repeated(scripted):
    found = scripted({"a": [10, 30, 50, 20, 20, 20], "b": [1, 1, 1]})
    assert found["a"].milliseconds == 20


def test_a_noisy_machine_is_refused(scripted):
    with pytest.raises(
        NoisyMeasurementError, match=r"'a' varies by 33% around 30.0 ms.*max_spread"
    ):
        scripted({"a": [20, 30, 40] * 3, "b": [1, 1, 1]})


def test_calls_alternate():
    order = []
    calls = {name: lambda name=name: (order.append(name), time.sleep(0.03)) for name in "ab"}
    module.time_calls(calls, TARGET, samples=2)
    assert order[-4:] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("target", ["torch:cpu:1:16x16", "onnxruntime:cpu:1:16x16"])
def test_more_work_takes_longer_and_the_network_stays(target):
    small, large = (nn.Conv2d(3, width, 3, padding=1).train() for width in (8, 2048))
    before = large.weight.clone()
    found = measure_all(
        {"small": small, "large": large}, parse_target(target), samples=3, max_spread=9
    )
    assert found["large"].milliseconds > 2 * found["small"].milliseconds
    assert torch.equal(large.weight, before)
    assert large.training


def test_text_says_what_was_measured():
    text = str(measure(nn.Conv2d(3, 8, 3), TARGET, samples=3, max_spread=9))
    assert "ms (median of 3" in text
    assert str(TARGET) in text


def test_memory_of_an_image():
    """Features of 64 channels take 64 MB, twice while the second ones are made."""

    class Net(nn.Module):
        in_channels = 3

        def forward(self, x):
            return x[:, :1].repeat(1, 64, 1, 1) * 2

    found = peak_memory(Net(), parse_target("torch:cpu:1:500x500"))
    assert found is None or 120 < found < 140


def test_an_onnx_file_is_for_onnxruntime(tmp_path):
    with pytest.raises(ValueError, match=r"net\.onnx.* is measured by onnxruntime, not on torch"):
        measure(tmp_path / "net.onnx", TARGET)
