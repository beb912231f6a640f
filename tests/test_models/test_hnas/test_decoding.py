import math

import pytest
import torch

from mmsrnas.genotypes import GenotypeError, load_genotype
from mmsrnas.models.hnas.space import HNASSpace


def test_size_of_the_published_space():
    sizes = HNASSpace().sizes
    assert len(sizes) == 33
    assert math.prod(sizes) == pytest.approx(1.63e21, rel=0.01)
    assert HNASSpace().max_entropy() == pytest.approx(23.909 + 22.450 + 2.485, abs=1e-3)


def test_tokens_and_genotypes_are_the_same_thing():
    space = HNASSpace()
    for row in space.random(50, torch.Generator().manual_seed(0)):
        assert space.encode(space.decode(row)) == row.tolist()
    for name in ("HNAS_A", "HNAS_B", "HNAS_C"):
        genotype = load_genotype(name)
        assert space.decode(space.encode(genotype)) == genotype


def test_tokens_are_ordered_sources_then_operations():
    space = HNASSpace()
    tokens = [0] * 33
    tokens[4:8] = [2, 1, 3, 5]
    genotype = space.decode(tokens)
    assert genotype.normal[2:4] == (("sep_conv_5x5", 2), ("dil_conv_5x5", 1))


def test_random_rows_are_uniform():
    space = HNASSpace()
    rows = space.random(20_000, torch.Generator().manual_seed(0))
    for column, size in enumerate(space.sizes):
        share = torch.bincount(rows[:, column], minlength=size) / 20_000
        assert (share - 1 / size).abs().max() < 0.015


def test_wrong_tokens_are_named():
    space = HNASSpace()
    with pytest.raises(GenotypeError, match=r"expected 33 .* got 32"):
        space.decode([0] * 32)
    with pytest.raises(GenotypeError, match=r"token 0: expected 0\.\.1, got 2"):
        space.decode([2] + [0] * 32)
    small = HNASSpace(normal_ops=("rcab",), upsampling_ops=("nearest",))
    with pytest.raises(GenotypeError, match="'normal': operation 'skip_connect' is not in"):
        small.encode(load_genotype("HNAS_A"))
    with pytest.raises(ValueError, match="upsampling_ops"):
        HNASSpace(upsampling_ops=())
