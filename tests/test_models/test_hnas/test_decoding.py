import math

import pytest
import torch

from mmsrnas.genotypes import HNAS_UPSAMPLING_OPS, GenotypeError, load_genotype
from mmsrnas.models.hnas.decoding import HNASSpace


def test_size_of_the_published_space():
    sizes = HNASSpace().sizes
    assert len(sizes) == 33
    assert HNASSpace().size() == math.prod(sizes) == pytest.approx(1.63e21, rel=0.01)
    assert HNASSpace().max_entropy() == pytest.approx(23.909 + 22.450 + 2.485, abs=1e-3)


def small(**kwargs):
    """A space with few enough rows to list them all."""
    ops = dict(normal_ops=("rcab", "skip_connect"), upsampling_ops=HNAS_UPSAMPLING_OPS[:4])
    return HNASSpace(1, 2, **ops, **kwargs)


def test_deduplicated_space_has_one_token_for_the_identity_on_inner_edges():
    space = small(deduplicate=True)
    assert space.inner_upsampling_ops == ("deconvolution", "nearest")
    assert small().inner_upsampling_ops == space.upsampling_ops
    rows = space.random(4000, torch.Generator().manual_seed(0))
    genotypes = [space.decode(row) for row in rows]
    seen = {(op, source > 1) for g in genotypes for op, source in g.upsampling}
    assert seen == {
        *((op, False) for op in space.upsampling_ops),
        ("deconvolution", True),
        ("nearest", True),
    }
    assert [space.encode(genotype) for genotype in genotypes] == rows.tolist()
    inner = [op for g in genotypes for op, source in g.upsampling if source > 1]
    assert inner.count("nearest") / len(inner) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(GenotypeError, match=r"'sub_pixel' from node 2 is not .* deconvolution, "):
        edges = (("nearest", 0), ("nearest", 0), ("sub_pixel", 2), ("nearest", 0))
        space.check(genotypes[0].replace(upsampling=edges))


@pytest.mark.parametrize("deduplicate", [False, True])
def test_size_is_the_number_of_architectures(deduplicate):
    space = small(deduplicate=deduplicate)
    # Two edges each of nodes 2 and 3: source and operation of both cells.
    inner = 2 if deduplicate else 4
    assert space.size() == 1 * ((2 * 2) * (2 * 4)) ** 2 * ((3 * 2) * (2 * 4 + inner)) ** 2
    assert space.max_entropy() == pytest.approx(math.log(space.size()))


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
    with pytest.raises(GenotypeError, match=r"tokens of an HNAS genotype: expected 33, got 32"):
        space.decode([0] * 32)
    with pytest.raises(GenotypeError, match=r"token 0: expected 0\.\.1, got 2"):
        space.decode([2] + [0] * 32)
    tiny = HNASSpace(normal_ops=("rcab",), upsampling_ops=("nearest",))
    with pytest.raises(GenotypeError, match="'normal': operation 'skip_connect' from node 1"):
        tiny.encode(load_genotype("HNAS_A"))
    with pytest.raises(ValueError, match="upsampling_ops"):
        HNASSpace(upsampling_ops=())
