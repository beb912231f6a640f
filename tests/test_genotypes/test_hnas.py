import pytest

from mmsrnas.genotypes import GenotypeError, HNASGenotype, load_genotype, published_genotypes

GOOD = {
    "normal": [["rcab", 0], ["skip_connect", 1]],
    "upsampling": [["sub_pixel", 0], ["nearest", 1]],
    "upsampling_position": 11,
}


def test_published_genotypes_have_twelve_layers_and_the_settled_positions():
    assert {"HNAS_A", "HNAS_B", "HNAS_C"} <= set(published_genotypes())
    found = [load_genotype(f"HNAS_{x}") for x in "ABC"]
    assert [genotype.upsampling_position for genotype in found] == [9, 11, 11]
    assert {(genotype.num_layers, genotype.num_nodes) for genotype in found} == {(12, 4)}


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
        (dict(upsampling_position=True), "got True"),
        (dict(upsampling_position=2.0), r"got 2\.0"),
        (dict(num_layers=0), "'num_layers': expected at least 1"),
        (dict(normal=[["rcab", 0]]), "'normal': expected two edges per node, got 1"),
        (dict(normal=[]), "'normal': expected two edges"),
        (dict(normal=[["rcab", 0]] * 4), r"'upsampling': expected as many edges .*\(4\), got 2"),
        (dict(normal=[["rcab", 0], ["rcab", 2]]), r"edge 1 leads to node 2 .* 0\.\.1, got 2"),
        (dict(normal=[["rcab", 0], ["rcab"]]), r"edge 1 must be \(operation, from_node\)"),
        (dict(normal=[["conv", 0], ["rcab", 0]]), "'normal': unknown operation 'conv'"),
        (dict(upsampling=[["rcab", 0]] * 2), "'upsampling': unknown operation 'rcab'"),
    ],
)
def test_wrong_fields_are_named(change, message):
    with pytest.raises(GenotypeError, match=message):
        load_genotype(GOOD | change, "hnas")
