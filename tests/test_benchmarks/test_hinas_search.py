"""What is claimed about the memory of the HiNAS search, measured."""

import runpy
from pathlib import Path

import pytest
import torch

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/hinas_search.py"))
MEASURED = ("reference, no cell sharing", "reference", "default", "default, with_cp")
ORIGINAL = 176.9
"""KiB per pixel that the released denoising supernet keeps."""


@pytest.fixture(scope="module")
def memory():
    def measure(task, variant):
        kwargs, size = BENCHMARK["TASKS"][task]
        net = BENCHMARK["HiNASSupernet"](
            **kwargs, in_channels=size[1], variant="official", **BENCHMARK["VARIANTS"][variant]
        )
        return BENCHMARK["kept_memory"](net, torch.rand(1, size[1], 48, 48))

    torch.set_num_threads(1)
    return {
        task: {variant: measure(task, variant) for variant in MEASURED}
        for task in BENCHMARK["TASKS"]
    }


def test_reference_evaluation_keeps_what_the_original_does(memory):
    denoise, _ = memory.values()
    assert denoise["reference"] == pytest.approx(ORIGINAL, rel=0.01)


@pytest.mark.parametrize(("task", "ratio"), [(0, 1.7), (1, 1.3)])
def test_cell_sharing_saves_memory(memory, task, ratio):
    kept = list(memory.values())[task]
    assert kept["reference, no cell sharing"] / kept["reference"] > ratio


def test_default_search_keeps_less(memory):
    for kept in memory.values():
        assert kept["default"] < 0.55 * kept["reference"]
        assert kept["default, with_cp"] < 0.15 * kept["reference"]
    denoise, _ = memory.values()
    assert denoise["default"] < 0.5 * ORIGINAL
    assert denoise["default, with_cp"] < 0.1 * ORIGINAL


def test_a_step_leaves_no_gradient_behind():
    net = BENCHMARK["HiNASSupernet"]("denoise", 1, 1, 2, 1, 2)
    x = torch.rand(1, 1, 8, 8)
    for reference in (True, False):
        BENCHMARK["search_step"](net, x, reference)
        assert all(param.grad is None for param in net.parameters())
    BENCHMARK["backward"](net, x, [net.alpha])
    assert net.alpha.requires_grad and not net.last[0].weight.requires_grad
