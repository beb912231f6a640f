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
        (
            dict(ops=["conv_1x1", "conv_1x1", "conv_9x9"]),
            r"'ops\[2\]': unknown value 'conv_9x9'; known: conv_1x1",
        ),
        (dict(ops=["conv_1x1"]), "'ops': expected `array` of length 3"),
        (
            dict(connections=[[0, 2]]),
            r"'connections\[0\]': cell 2 needs two different cells out of 0\.\.1",
        ),
        (dict(connections=[[1, 1]]), r"'connections\[0\]': cell 2"),
        (dict(connections=[[0]]), r"'connections\[0\]': expected `array` of length 2, got 1"),
        (dict(connections={}), "'connections': expected `array`, got `object`"),
        (dict(mid_channels=2), "'mid_channels': expected `int` >= 4: 2"),
        (dict(mid_channels=4098), "'mid_channels': expected `int` <= 4096"),
        (dict(connections=[[0, 1]] * 127), "'connections': expected `array` of length <= 126"),
        (dict(mid_channels=7), "'mid_channels': expected `int` that's a multiple of 2: 7"),
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
    with pytest.raises(GenotypeError, match="or a JSON object, got list"):
        load_genotype(broken)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "recursion"),
        (b'{"method": "dlsr", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
        (b" " * (1 << 20) + b"{}", "larger than 1048576 bytes"),
        (b'{"ops": [], "ops": []}', "'ops' stands twice"),
        (b"\xff\xfe\x00", "not readable JSON"),
        (b'{"method": "dlsr", "ops": ' + b"9" * 5000 + b"}", "not readable JSON|expected `array`"),
        (b'{"method": ["dlsr"]}', r"unknown genotype method \['dlsr'\]"),
        (b'{"method": "toys"}', "unknown genotype method 'toys'; known: dlsr, "),
        (b"", "not readable JSON"),
    ],
)
def test_hostile_files(content, message, tmp_path):
    file = tmp_path / "genotype.json"
    file.write_bytes(content)
    with pytest.raises(GenotypeError, match=message):
        load_genotype(file)


def test_only_published_names_and_regular_files_are_read(tmp_path):
    for source in ("../dlsr", "published/DLSR", "DLSR\0", tmp_path / "a\0.json", 5, None, b"DLSR"):
        with pytest.raises(GenotypeError):
            load_genotype(source)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(GenotypeError, match="does not exist"):
        load_genotype(tmp_path / "folder.json")
    with pytest.raises(GenotypeError, match="does not exist"):
        load_genotype("/dev/zero.json")


@pytest.mark.parametrize("version", [0, 2, -1, True, 1.0, "1", None])
def test_other_versions_are_refused(version):
    with pytest.raises(GenotypeError, match="'version'"):
        load_genotype(GOOD | {"version": version}, "dlsr")
    assert load_genotype(GOOD | {"version": 1}, "dlsr") == load_genotype(GOOD, "dlsr")


@pytest.mark.parametrize("width", [4, 6, 4096])
def test_bounds_of_the_width_are_allowed(width):
    assert load_genotype(GOOD | {"mid_channels": width}, "dlsr").mid_channels == width


def test_values_built_in_python_are_checked_and_frozen():
    genotype = DLSRGenotype(["conv_1x1"] * 3, [[0, 1]])
    assert genotype.connections == ((0, 1),)
    assert hash(genotype) == hash(load_genotype(GOOD, "dlsr"))
    with pytest.raises(AttributeError):
        genotype.mid_channels = 8
    with pytest.raises(GenotypeError, match=r"'connections\[0\]\[1\]': expected `int`, got `str`"):
        DLSRGenotype(["conv_1x1"] * 3, [[0, "1"]])
    with pytest.raises(GenotypeError, match="'connections': expected lists, which have an order"):
        DLSRGenotype(["conv_1x1"] * 3, {(0, 1)})
    with pytest.raises(GenotypeError, match=r"'connections\[0\]': expected `array`, got `set`"):
        DLSRGenotype(["conv_1x1"] * 3, [{0, 1}])
    cycle = []
    cycle.append(cycle)
    with pytest.raises(GenotypeError, match="'connections"):
        DLSRGenotype(["conv_1x1"] * 3, cycle)
    with pytest.raises(GenotypeError, match="'mid_channels'"):
        genotype.replace(mid_channels=2)
    assert genotype.replace(mid_channels=8, in_channels=None).mid_channels == 8


def test_further_cells_read_what_the_last_one_reads_as_far_behind():
    two = DLSRGenotype(["conv_1x1"] * 3, [])
    assert two.with_num_cells(4).connections == ((0, 1), (1, 2))
    genotype = DLSRGenotype(["conv_1x1"] * 3, [[1, 0], [2, 0]])
    assert genotype.with_num_cells(6).connections == ((1, 0), (2, 0), (3, 1), (4, 2))
    assert genotype.with_num_cells(2) == two
    with pytest.raises(GenotypeError, match="at least 2 cells, got 1"):
        genotype.with_num_cells(1)
