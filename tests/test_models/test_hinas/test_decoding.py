import itertools
import json
import math

import pytest
import torch
from hinas_official import translate_official_genotype

from mmsrnas.genotypes import HINAS_OPS
from mmsrnas.models import HiNASSupernet
from mmsrnas.models.hinas.decoding import Trellis, best_path, decode_cell


def random_transitions(layers, levels, generator):
    trellis = Trellis(layers, levels)
    possible = trellis.possible_moves()
    logits = torch.randn(possible.shape, generator=generator, dtype=torch.double)
    return trellis.split(logits.masked_fill(~possible, -torch.inf).log_softmax(dim=1))


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
    net = HiNASSupernet("denoise", 1, 1, num_cells=3, num_nodes=1, mid_channels=2)
    assert net.genotype().path == (0, 0, 0)


@pytest.mark.parametrize("meets", [True, False], ids=["same end", "other end"])
@pytest.mark.parametrize(("lead", "best"), [(0, (0, 0)), (1e-13, (0, 0)), (1e-11, (1, 1))])
def test_equal_paths_stay_narrow_whatever_the_rounding(meets, lead, best):
    """Two paths multiply the same numbers, in orders that round the wide one up."""
    a, b, c = map(math.log, (0.3, 0.1, 0.2))
    assert (b + c) + a > (a + b) + c
    none = -torch.inf
    last = [a + lead, none, none] if meets else [none, a + lead, none]
    layers = [[[none, a, b]], [[none, b, none], [none, c, none]], [[none, c, none], last]]
    path = best_path([torch.tensor(rows, dtype=torch.double) for rows in layers])
    assert path[:2] == best
    assert path[2] == (0 if meets else best[1])


@pytest.mark.parametrize(("cells", "levels"), [(1, 1), (2, 3), (4, 3)])
def test_trellis_has_the_moves_by_one_level(cells, levels):
    trellis = Trellis(cells, levels)
    moves = [
        (layer, source, target)
        for layer in range(cells)
        for source in range(trellis.levels[layer])
        for target in trellis.targets(layer, source)
    ]
    paths = {(0,)}
    for layer in range(cells):
        paths = {(*p, t) for p in paths for k, s, t in moves if (k, s) == (layer, p[-1])}
    steps = itertools.product(range(levels), repeat=cells)
    expected = {
        (0, *p) for p in steps if all(abs(x - y) <= 1 for x, y in itertools.pairwise((0, *p)))
    }
    assert paths == expected
    for path in paths:
        matrices = trellis.transitions(trellis.path_moves(path[1:]))
        state = torch.ones(1)
        for matrix in matrices:
            state = state @ matrix
        assert state.argmax() == path[-1]
        assert state.sum() == 1


def test_improbable_paths_do_not_underflow():
    row = torch.tensor([[-torch.inf, -800.0, -900.0]], dtype=torch.double)
    wide = torch.tensor([[-torch.inf, -900.0, -950.0], [-800.0, -700.0, -900.0]]).double()
    assert best_path([row, wide]) == (1, 1)


def test_official_decodings_are_reproduced(refs):
    cases = json.loads((refs / "hinas" / "decode_cases.json").read_text())["cases"]
    assert len(cases) == 30
    nets = {}
    for case in cases:
        shape = case["num_layers"], case["num_blocks"]
        if shape not in nets:
            nets[shape] = HiNASSupernet("denoise", 1, 1, *shape, mid_channels=2)
        net = nets[shape]
        with torch.no_grad():
            net.alpha.copy_(torch.tensor(case["alphas"]))
            net.beta.copy_(torch.tensor(case["betas"]))
        expected = translate_official_genotype(
            case["cells"],
            case["path"],
            mid_channels=2,
            task="denoise",
            upscale_factor=1,
            in_channels=1,
        )
        assert net.genotype() == expected


def test_strongest_edges_are_kept_without_none():
    weights = torch.full((5, len(HINAS_OPS)), 0.1)
    weights[0, 6] = 0.9  # `none` does not count
    weights[1, 2] = 0.3
    weights[3, 4] = 0.5
    cell = decode_cell(weights)
    assert cell == (("sep_conv_5x5", 1), ("conv_3x3", 0), ("dil_conv_5x5", 1), ("conv_3x3", 0))
