import itertools
import json

import pytest
import torch

from mmsrnas.genotypes import HINAS_OPS
from mmsrnas.models import HiNASSupernet
from mmsrnas.models.hinas.official import translate_official_genotype
from mmsrnas.models.hinas.path import best_path, decode_cell, reached_levels


def random_transitions(layers, levels, generator):
    result = []
    for layer in range(layers):
        rows, targets = reached_levels(layer, levels), reached_levels(layer + 1, levels)
        logits = torch.randn(rows, 3, generator=generator, dtype=torch.double)
        for level, move in itertools.product(range(rows), (-1, 0, 1)):
            if not 0 <= level + move < targets:
                logits[level, move + 1] = -torch.inf
        result.append(logits.log_softmax(dim=1))
    return result


def score(path, transitions):
    total, level = 0.0, 0
    for target, layer in zip(path, transitions, strict=True):
        if abs(target - level) > 1 or level >= len(layer):
            return -float("inf")
        total, level = total + layer[level, target - level + 1].item(), target
    return total


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_path_is_the_best_of_all(layers, levels):
    generator = torch.Generator().manual_seed(layers * 10 + levels)
    for _ in range(10):
        transitions = random_transitions(layers, levels, generator)
        paths = list(itertools.product(range(levels), repeat=layers))
        assert best_path(transitions) == max(paths, key=lambda p: score(p, transitions))


def test_ties_take_the_narrow_levels():
    net = HiNASSupernet("denoise", 1, 1, num_layers=3, num_nodes=1, base_channels=2)
    assert net.genotype().path == (0, 0, 0)
    # From level 0 to level 1 over either level: the probabilities are equal, the rounding is not.
    half, third = torch.tensor(0.5).double().log(), torch.tensor(1 / 3).double().log()
    inf = torch.tensor(torch.inf).double()
    first = torch.stack([-inf, half, half])[None]
    second = torch.stack([-inf, -inf, third]), torch.stack([-inf, third, -inf])
    assert best_path([first, torch.stack(second)]) == (0, 1)


def test_improbable_paths_do_not_underflow():
    row = torch.tensor([[-torch.inf, -800.0, -900.0]], dtype=torch.double)
    wide = torch.tensor([[-torch.inf, -900.0, -950.0], [-800.0, -700.0, -900.0]]).double()
    assert best_path([row, wide]) == (1, 1)


def test_official_decodings_are_reproduced(refs):
    cases = json.loads((refs / "hinas" / "decode_cases.json").read_text())["cases"]
    assert len(cases) == 30
    for case in cases:
        net = HiNASSupernet(
            "denoise", 1, 1, case["num_layers"], case["num_blocks"], base_channels=2
        )
        with torch.no_grad():
            net.alpha.copy_(torch.tensor(case["alphas"]))
            net.beta.copy_(torch.tensor(case["betas"]))
        assert net.genotype() == translate_official_genotype(case["cells"], case["path"], 2)


def test_strongest_edges_are_kept_without_none():
    weights = torch.full((5, len(HINAS_OPS)), 0.1)
    weights[0, 6] = 0.9  # `none` does not count
    weights[1, 2] = 0.3
    weights[3, 4] = 0.5
    cell = decode_cell(weights)
    assert cell == (("sep_conv_5x5", 1), ("conv_3x3", 0), ("dil_conv_5x5", 1), ("conv_3x3", 0))
