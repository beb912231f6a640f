import pytest

from mmsrnas.genotypes import GenotypeError, HiNASGenotype, load_genotype

CELL = [["conv_3x3", 0], ["skip_connect", 1], ["skip_connect", 2], ["dil_conv_5x5", 0]]
GOOD = {"cells": [CELL, CELL, CELL], "path": [0, 1, 2], "base_channels": 10}


def test_round_trip_and_derived_values(tmp_path):
    genotype = load_genotype(GOOD, "hinas")
    genotype.save(tmp_path / "g.json", {"seed": 0})
    assert load_genotype(tmp_path / "g.json") == genotype
    assert genotype.num_nodes == 2
    assert genotype.widths == (10, 15, 20)
    assert genotype.skip_counts == (2, 2, 2)


@pytest.mark.parametrize(
    ("path", "cell"),
    [((0, 1, 2), 0), ((0, 0, 1), 1), ((1, 1, 1), None), ((0, 0, 0), None), ((0, 1, 0), None)],
)
def test_low_level_cell(path, cell):
    genotype = HiNASGenotype(load_genotype(GOOD, "hinas").cells, path, 10)
    assert genotype.low_level_cell == cell


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": [0, 1]}, "'path': expected 3 levels"),
        ({"path": [0, 1, 3]}, r"'path': unknown level 3 of cell 2; .* levels 0\.\.2"),
        ({"path": [0, 1, 2], "width_multipliers": [1, 2]}, r"unknown level 2 of cell 2"),
        ({"path": [0, 2, 2]}, "'path': cell 1 goes from level 0 to 2"),
        ({"path": [2, 2, 2]}, "'path': cell 0 goes from level 0 to 2"),
        ({"cells": [CELL, CELL]}, "'path': expected 2 levels"),
        ({"cells": [CELL, CELL, CELL[:2]]}, "'cells': every cell needs two"),
        ({"cells": []}, "'cells': every cell needs two"),
        ({"cells": [CELL, CELL, [["conv_9x9", 0], *CELL[1:]]]}, "unknown operation 'conv_9x9'"),
        ({"cells": [CELL, CELL, [["none", 0], *CELL[1:]]]}, "unknown operation 'none'"),
        ({"cells": [CELL, CELL, [["conv_3x3", 1], *CELL[1:]]]}, "node 0 of cell 2 needs two diff"),
        ({"cells": [CELL, CELL, [["conv_3x3", 2], *CELL[1:]]]}, r"out of 0\.\.1"),
        ({"activation": "sin"}, "'activation': expected one of"),
        ({"base_channels": 0}, "every width must be at least 1"),
        ({"method": "dlsr"}, "method"),
    ],
)
def test_wrong_fields_are_named(change, message):
    with pytest.raises(GenotypeError, match=message):
        load_genotype(GOOD | change, "hinas")
