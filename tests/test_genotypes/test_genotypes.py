import json

import pytest

from mmsrnas.genotypes import DLSRGenotype, GenotypeError, load_genotype, published_genotypes

GOOD = {"ops": ["conv_1x1"] * 3, "connections": [[0, 1]]}


def test_published_genotypes_load_and_round_trip(tmp_path):
    names = published_genotypes()
    assert {"DLSR", "DLSR_PARA", "DLSR_TINY"} <= set(names)
    for name in names:
        genotype = load_genotype(name)
        genotype.save(tmp_path / "genotype.json")
        assert load_genotype(tmp_path / "genotype.json", genotype.method) == genotype


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(ops=["conv_1x1", "conv_1x1", "conv_9x9"]), "'ops': unknown operation 'conv_9x9'"),
        (dict(ops=["conv_1x1"]), "'ops': expected 3 operations"),
        (dict(connections=[[0, 2]]), "'connections': cell 2 needs two different cells out of 0..1"),
        (dict(connections=[[1, 1]]), "'connections': cell 2"),
        (dict(connections=[[0]]), "'connections': cell 2"),
        (dict(mid_channels=7), "'mid_channels': expected an even number"),
        (dict(method="hnas"), "method"),
        (dict(version=9), "version"),
        (dict(chanels=3), "unknown field 'chanels'"),
    ],
)
def test_wrong_fields_are_named(change, message):
    with pytest.raises(GenotypeError, match=message):
        load_genotype(GOOD | change, "dlsr")


def test_missing_field_and_files_are_named(tmp_path):
    with pytest.raises(GenotypeError, match="'ops' is missing"):
        DLSRGenotype.from_dict({"connections": []})
    with pytest.raises(GenotypeError, match="does not exist"):
        load_genotype(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(GenotypeError, match="not readable JSON"):
        load_genotype(broken)
    broken.write_text(json.dumps([1]))
    with pytest.raises(GenotypeError, match="expected a JSON object"):
        load_genotype(broken)
