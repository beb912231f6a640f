import pytest

from mmsrnas.genotypes import GenotypeError, HNASGenotype, load_genotype, published_genotypes

GOOD = {
    "normal": [["rcab", 0], ["skip_connect", 1]],
    "upsampling": [["sub_pixel", 0], ["nearest", 1]],
    "upsampling_position": 11,
}


def test_published_genotypes_have_twelve_layers_and_the_decided_positions():
    assert {"HNAS_A", "HNAS_B", "HNAS_C"} <= set(published_genotypes())
    found = [load_genotype(f"HNAS_{x}") for x in "ABC"]
    assert [genotype.upsampling_position for genotype in found] == [9, 11, 11]
    assert {(genotype.num_cells, genotype.num_nodes) for genotype in found} == {(12, 4)}


def test_round_trip_and_equality(tmp_path):
    genotype = HNASGenotype.from_dict(GOOD)
    genotype.save(tmp_path / "g.json")
    assert load_genotype(tmp_path / "g.json", "hnas") == genotype
    assert hash(genotype) == hash(load_genotype(GOOD, "hnas"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(upsampling_position=12), r"0\.\.11, got 12\. The comments .* count .* from 1.* 11"),
        (dict(upsampling_position=-1), r"0\.\.11, got -1\.$"),
        (dict(upsampling_position=True), "got `bool`: True"),
        (dict(upsampling_position=2.0), r"got `float`: 2\.0"),
        (dict(num_cells=0), "'num_cells': expected `int` >= 1: 0"),
        (dict(normal=[["rcab", 0]]), "'normal': expected `array` of length >= 2"),
        (dict(normal=[]), "'normal': expected `array`"),
        (dict(normal=[["rcab", 0]] * 3), "'normal': expected two edges per node, got 3"),
        (dict(normal=[["rcab", 0]] * 4), r"'upsampling': expected as many edges .*\(4\), got 2"),
        (
            dict(normal=[["rcab", 0], ["rcab", 2]]),
            r"'normal\[1\]': the edge leads to node 2 .* 0\.\.1, got 2",
        ),
        (
            dict(normal=[["rcab", 0], ["rcab"]]),
            r"'normal\[1\]': expected `array` of length 2, got 1",
        ),
        (
            dict(normal=[["conv", 0], ["rcab", 0]]),
            r"'normal\[0\]\[0\]': unknown value 'conv'; known: rcab",
        ),
        (dict(upsampling=[["rcab", 0]] * 2), r"'upsampling\[0\]\[0\]': unknown value 'rcab'"),
    ],
)
def test_wrong_fields_are_named(change, message):
    with pytest.raises(GenotypeError, match=message):
        load_genotype(GOOD | change, "hnas")


def test_drawing_has_the_edges_of_both_cells_and_the_position():
    genotype = load_genotype("HNAS_A")
    normal, upsampling, network = genotype.diagrams()
    for diagram, edges in ((normal, genotype.normal), (upsampling, genotype.upsampling)):
        for index, (op, source) in enumerate(edges):
            assert diagram.boxes[f"edge {index}"][2] == f"{source}: {op}"
            arrows = {(start, end) for start, end, *_ in diagram.arrows}
            assert (f"node {source}", f"edge {index}") in arrows
            assert (f"edge {index}", f"node {index // 2 + 2}") in arrows
    assert network.boxes["cell 9"][2] == "cell 9\nupsamples"
    skips = {(start, end) for start, end, kind, _ in network.arrows if kind == "data"}
    assert ("cell 7", "cell 9") in skips
    assert ("cell 8", "cell 10") not in skips  # both inputs are the upsampled features
    assert ("cell 9", "cell 11") in skips
