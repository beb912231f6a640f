import pytest

from mmsrnas.genotypes import GenotypeError, HiNASGenotype, load_genotype

CELL = [["conv_3x3", 0], ["skip_connect", 1], ["skip_connect", 2], ["dil_conv_5x5", 0]]
GOOD = {"cells": [CELL, CELL, CELL], "path": [0, 1, 2], "mid_channels": 10}


def test_round_trip_and_derived_values(tmp_path):
    genotype = load_genotype(GOOD, "hinas")
    genotype.save(tmp_path / "g.json", {"seed": 0})
    assert load_genotype(tmp_path / "g.json") == genotype
    assert genotype.num_nodes == 2
    assert genotype.widths == (10, 15, 20)
    assert genotype.skip_counts == (2, 2, 2)
    one_less = [["conv_3x3", 1] if edge == ["skip_connect", 1] else edge for edge in CELL]
    assert genotype.replace(cells=(CELL, one_less, CELL)).skip_counts == (2, 1, 2)


@pytest.mark.parametrize(
    ("channels", "multiplier", "width"),
    [(45, 1.4, 63), (10, 1.25, 12), (5, 0.2, 1), (100, 0.29, 29)],
)
def test_widths_are_rounded_from_the_decimal_product(channels, multiplier, width):
    genotype = HiNASGenotype((tuple(CELL[:2]),), (0,), channels, (multiplier, 2))
    assert genotype.widths == (width, 2 * channels)


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
        ({"path": [0, 1, 3]}, r"'path\[2\]': unknown level 3; .* levels 0\.\.2"),
        ({"path": [0, 1, 2], "width_multipliers": [1, 2]}, r"'path\[2\]': unknown level 2"),
        ({"path": [0, 2, 2]}, "'path.1.': cell 1 goes from level 0 to 2"),
        ({"path": [2, 2, 2]}, "'path.0.': cell 0 goes from level 0 to 2"),
        ({"cells": [CELL, CELL]}, "'path': expected 2 levels"),
        ({"cells": [CELL, CELL, CELL[:2]]}, "'cells.2.': every cell needs two"),
        ({"cells": []}, "'cells': expected `array` of length >= 1"),
        (
            {"cells": [CELL, CELL, [["conv_9x9", 0], *CELL[1:]]]},
            r"'cells\[2\]\[0\]\[0\]': unknown value 'conv_9x9'",
        ),
        ({"cells": [CELL, CELL, [["none", 0], *CELL[1:]]]}, "unknown value 'none'"),
        ({"cells": [CELL, CELL, [["conv_3x3", 1], *CELL[1:]]]}, "node 0 of cell 2 needs two diff"),
        ({"cells": [CELL, CELL, [["conv_3x3", 2], *CELL[1:]]]}, r"out of 0\.\.1"),
        ({"activation": "sin"}, "'activation': unknown value 'sin'; known: leaky_relu"),
        ({"mid_channels": 0}, "'mid_channels': expected `int` >= 1: 0"),
        ({"mid_channels": 10.0}, "'mid_channels': expected `int`, got `float`"),
        ({"width_multipliers": ["1", "2"]}, r"'width_multipliers\[0\]': expected `float`"),
        ({"width_multipliers": [1, 0.05]}, r"'width_multipliers': with mid_channels=10"),
        ({"width_multipliers": [float("nan")] * 3}, r"'width_multipliers\[0\]'"),
        ({"task": "denoise"}, "'upscale_factor': expected 1 for task='denoise'"),
        ({"variant": "quick"}, "'variant': unknown value 'quick'; known: default, official"),
        ({"method": "dlsr"}, "method"),
    ],
)
def test_wrong_fields_are_named(change, message):
    with pytest.raises(GenotypeError, match=message):
        load_genotype(GOOD | change, "hinas")


def test_drawing_shows_edges_and_path():
    first, *_, path = load_genotype(GOOD, "hinas").diagrams()
    named = {name: text for name, (_, _, text, kind) in first.boxes.items() if kind == "searched"}
    assert list(named.values()) == [op for op, _ in CELL]
    inputs = {end: start for start, end, kind, _ in first.arrows if kind == "searched"}
    assert [inputs[name] for name in named] == [f"s{source}" for _, source in CELL]
    levels = [name for name, (*_, kind) in path.boxes.items() if kind == "searched"]
    assert levels == ["0 0", "1 1", "2 2"]


def test_sets_have_no_order():
    cells = load_genotype(GOOD, "hinas").cells
    for path, multipliers in (({0, 1, 2}, (1, 2, 3)), ((0, 1, 2), frozenset((1, 2, 3)))):
        with pytest.raises(GenotypeError, match="expected lists, which have an order, and no set"):
            HiNASGenotype(cells, path, 10, multipliers)
    with pytest.raises(GenotypeError, match="'cells': expected lists, which have an order"):
        HiNASGenotype([*cells[:2], set(cells[2])], (0, 1, 2), 10)
