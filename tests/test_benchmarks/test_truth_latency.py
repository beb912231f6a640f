"""The command that fills in latencies."""

import csv
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.truth.latency import fill, network_of
from benchmarks.truth.spaces import SPACES
from benchmarks.truth.table import append_row
from mmsrnas.genotypes import DLSRGenotype


def test_fills_what_is_missing_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    genotypes = [DLSRGenotype((op,) * 3, (), 4) for op in ("conv_1x1", "conv_3x3")]
    values = dict(params=1, multi_adds=2, psnr_photos=30.5, psnr_bsds=31.0, seconds=9.0)
    for genotype, latency in ((genotypes[0], 7.5), (genotypes[0], ""), (genotypes[1], "")):
        text = json.dumps(genotype.to_dict())
        append_row(path, values | dict(genotype=text, seed=0, latency_ms=latency))
    asked = []

    def latency_of(genotype):
        asked.append(genotype)
        append_row(path, values | dict(genotype="{}", seed=1, latency_ms=1.0))  # meanwhile
        return float(len(genotype.ops))

    assert fill(path, latency_of) == 2
    assert sorted(asked, key=str) == sorted(genotypes, key=str)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["latency_ms"]) for row in rows] == [7.5, 3.0, 3.0, 1.0, 1.0]
    assert [row["psnr_bsds"] for row in rows] == ["31.0"] * 5
    assert fill(path, latency_of) == 0


def test_networks_of_all_tables():
    for space in SPACES.values():
        genotype = space.sample(np.random.default_rng(0))
        net = network_of(genotype)
        assert type(net) is type(getattr(space.build(genotype), "net", net))
