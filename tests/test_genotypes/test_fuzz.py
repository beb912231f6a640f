"""Mutated genotypes: one error, or exactly the values that were written; never another network.

``FUZZ=20000 pytest tests/test_genotypes/test_fuzz.py`` (``make fuzz``) makes more mutations.
"""

import copy
import json
import math
import os
import random

import pytest

from mmsrnas.genotypes import Genotype, GenotypeError, load_genotype, published_genotypes

COUNT = int(os.environ.get("FUZZ", "500"))
SEEDS = {
    "dlsr": ["DLSR", "DLSR_TINY"],
    "hnas": ["HNAS_A", "HNAS_C"],
    "hinas": ["HINAS_SR", "HINAS_DENOISE"],
    "drc": ["DRNS_X4_P50"],
    "elastic": ["ELASTIC_LARGE"],
}


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


JSON_VALUES = [
    None,
    True,
    False,
    *(0, 1, 2, 3, 7, -1, 48, 4097, 10**9, 10**400, -(2**63)),
    *(0.0, -0.0, 1.0, 1.5, 48.0, 1e-300, 1e308, math.nan, math.inf, -math.inf),
    *("", "48", "1.5", "conv_1x1", "skip_connect", "none", "dlsr", "\x00", "\ud800", "é" * 3000),
    *([], [[]], [0], [0, 1], ["conv_3x3", 0], [1] * 5000, nested(200)),
    *({}, {"0": 0}, {"method": "dlsr"}),
]
PYTHON_VALUES = [
    (),
    (0, 1),
    {1, 2},
    frozenset(),
    b"48",
    10**5000,
    object(),
    range(3),
    2j,
    int,
    Genotype,
]


def places(value, path=()):
    """Paths of the parts of a JSON value, down to a depth that no genotype has."""
    yield path
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        if isinstance(value[key], dict | list) and len(path) < 6:
            yield from places(value[key], (*path, key))
        else:
            yield (*path, key)


def mutate(data, rng, values):
    """Replaces, removes, doubles, exchanges or adds one part of a genotype, in place."""
    *path, key = rng.choice([place for place in places(data) if place])
    parent = data
    for step in path:
        parent = parent[step]
    kind = rng.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = [parent[key], parent[key]]
    elif kind == 2 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(rng.choice(values)))
    elif kind == 3 and isinstance(parent, list):
        rng.shuffle(parent)
    elif kind == 4 and isinstance(parent, dict):
        parent[rng.choice(["", "Ops", "mid_channels", "cells", "path", "version", 5, None])] = (
            copy.deepcopy(rng.choice(values))
        )
    else:
        parent[key] = copy.deepcopy(rng.choice(values))


def check(genotype, data):
    """The values of an accepted genotype are those of the data, in the same types."""
    written = genotype.to_dict()
    assert load_genotype(json.loads(json.dumps(written))) == genotype
    hash(genotype)
    for name, value in data.items():
        if name != "provenance":
            value = _plain(value, float if name == "width_multipliers" else None)
            assert repr(written[name]) == repr(value), name


def _plain(value, number):
    """The value with lists for tuples, and numbers of one type where whole ones are allowed."""
    if isinstance(value, list | tuple):
        return [_plain(part, number) for part in value]
    return number(value) if number else value


@pytest.mark.parametrize("method", SEEDS)
@pytest.mark.parametrize("source", ["json", "python"])
def test_mutated_values(method, source):
    rng = random.Random(f"{method} {source}")
    values = JSON_VALUES if source == "json" else JSON_VALUES + PYTHON_VALUES
    seeds = [load_genotype(name).to_dict() for name in SEEDS[method]]
    accepted = 0
    for _ in range(COUNT // 2):
        data = copy.deepcopy(rng.choice(seeds))
        for _ in range(rng.randint(1, 3)):
            mutate(data, rng, values)
        try:
            genotype = load_genotype(data)
        except GenotypeError as error:
            assert len(str(error)) < 1000
        else:
            check(genotype, data)
            accepted += 1
    assert 0 < accepted < COUNT // 4


@pytest.mark.parametrize("method", SEEDS)
def test_mutated_files(method, tmp_path):
    rng = random.Random(method)
    seeds = [json.dumps(load_genotype(name).to_dict()).encode() for name in SEEDS[method]]
    file = tmp_path / "genotype.json"
    for _ in range(COUNT // 5):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            begin = rng.randrange(len(data))
            data[begin : begin + rng.randint(0, 8)] = rng.choice(
                [
                    b"",
                    b"[",
                    b"]",
                    b"{",
                    b"1e999",
                    b"NaN",
                    b"\xff",
                    b"\x00",
                    b'"',
                    b",",
                    b"-1",
                    b"[" * 999,
                ]
            )
        file.write_bytes(data)
        try:
            genotype = load_genotype(file)
        except GenotypeError:
            continue
        check(genotype, json.loads(bytes(data)))


def test_every_method_is_mutated():
    assert {load_genotype(name).method for name in published_genotypes()} == set(SEEDS)
