"""Both sides of the comparison compute the same."""

import runpy
from pathlib import Path

import torch

BENCHMARK = Path(__file__).parents[2] / "benchmarks/drc_search.py"


def test_reference_and_vectorised_search_have_the_same_gradients():
    search = runpy.run_path(str(BENCHMARK))["Search"](2, 8, 32, 1, torch.double)
    gradients = {}
    for reference in (True, False):
        search.be_reference(reference)
        gradients[reference] = search.arch_gradients()
    for ours, reference in zip(gradients[False], gradients[True], strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-9)
    assert max(gradient.abs().max() for gradient in gradients[True]) > 1e-7


def test_selection_is_the_same_with_and_without_memory():
    selection = runpy.run_path(str(BENCHMARK))["selection"]
    results = [selection(cache, 1, 16, 16, 1) for cache in (True, False)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
