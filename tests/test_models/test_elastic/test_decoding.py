"""The elastic space as tokens."""

import pytest
import torch

from mmsrnas.genotypes import GenotypeError
from mmsrnas.models.elastic.decoding import ElasticSpace

SPACE = ElasticSpace(
    num_cells=(1, 3), mid_channels=(8, 16), ops=("conv_3x3", "gate_3x3"), cells_per_stage=2
)


def test_all_genotypes_are_there_once():
    genotypes = list(SPACE.all())
    # Two activations; one stage of one block, or two stages of three blocks.
    assert len(genotypes) == SPACE.size() == 2 * (2 * 2 + 2**2 * 2**3)
    assert len(set(genotypes)) == len(genotypes)
    assert SPACE.largest() in genotypes


def test_tokens_and_genotypes_are_each_other():
    for row in SPACE.random(50, torch.Generator().manual_seed(0)):
        genotype = SPACE.decode(row)
        tokens = SPACE.encode(genotype)
        assert SPACE.decode(tokens) == genotype
        assert len(tokens) == len(SPACE.sizes)
    genotype = SPACE.decode([1, 1, 0, 1, 0, 1, 0])
    assert genotype.ops == ("conv_3x3", "gate_3x3", "conv_3x3")
    assert genotype.widths == (8, 8, 16)
    assert genotype.activation == "gelu"
    # What a network of one block does not have, does not matter.
    assert SPACE.encode(SPACE.decode([0, 0, 1, 1, 1, 1, 1])) == [0, 0, 1, 0, 1, 0, 0]


def test_a_sandwich_has_the_largest_and_the_smallest():
    rows = SPACE.sandwich(3, torch.Generator().manual_seed(0))
    largest, smallest, *rest = map(SPACE.decode, rows)
    assert largest.widths == (16, 16, 16) and smallest.widths == (8,)
    assert len(rest) == 3
    again = SPACE.sandwich(3, torch.Generator().manual_seed(0))
    assert torch.equal(rows, again)
    generator = torch.Generator().manual_seed(0)
    ops = {SPACE.decode(SPACE.sandwich(0, generator)[0]).ops for _ in range(60)}
    assert len(ops) == 2**3


def test_the_cover_has_every_operation_and_activation_at_full_size():
    found = list(SPACE.cover())
    assert [genotype.ops for genotype in found] == [(op,) * 3 for op in SPACE.ops]
    assert {genotype.activation for genotype in found} == set(SPACE.activations)
    assert all(genotype.widths == (16,) * 3 for genotype in found)


@pytest.mark.parametrize("tokens", [[0] * 6, [2, 0, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0, 0]])
def test_wrong_tokens(tokens):
    with pytest.raises(GenotypeError, match="tokens of an elastic genotype"):
        SPACE.decode(tokens)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_cells", (3, 1)),
        ("num_cells", ()),
        ("mid_channels", (8, 8)),
        ("mid_channels", (0, 8)),
        ("ops", ("conv_9x9",)),
        ("ops", "conv_3x3"),
        ("activations", ()),
        ("anchor", "bilinear"),
        ("cells_per_stage", 0),
    ],
)
def test_wrong_choices_name_the_argument(key, value):
    with pytest.raises(ValueError, match=key):
        ElasticSpace(**dict(num_cells=(1,), mid_channels=(8,)) | {key: value})


def test_genotypes_of_other_spaces_are_refused():
    genotype = SPACE.largest()
    for change in (
        dict(ops=("conv_5x5",) * 3),
        dict(widths=(8, 16, 16)),
        dict(ops=("conv_3x3",) * 2, widths=(8, 8)),
        dict(activation="prelu"),
        dict(anchor="bicubic"),
    ):
        with pytest.raises(GenotypeError, match="not in the search space"):
            SPACE.encode(genotype.replace(**change))
