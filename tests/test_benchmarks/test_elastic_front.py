"""The driver of the elastic experiment on tiny images, from the supernet to the report."""

import csv
import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def driver(monkeypatch):
    pytest.importorskip("pymoo")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("elastic_front")
    multi_adds = module.Cost("multi_adds", hr_size=(16, 16))
    multi_adds.target = None
    monkeypatch.setattr(module, "SCALED", {"edsr": module.SCALED["edsr"]})
    monkeypatch.setattr(module, "calibrated_cost", lambda folder: multi_adds)
    chain = module.ElasticGenotype(("conv_3x3",) * 12, (24,) * 12)
    monkeypatch.setattr(module, "compact", lambda width: module.ElasticNet(chain))
    monkeypatch.setattr(module, "NEAR", 0.2)
    monkeypatch.setattr(module.Planner, "measured", lambda self, specs: [1.0] * len(specs))
    monkeypatch.setattr(module, "COMPACT_WIDTHS", (8,))
    monkeypatch.setattr(module, "RANKED", 2)
    monkeypatch.setattr(module, "PROXY_SIZE", 8)
    yield module
    del sys.modules["elastic_front"]


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)

    def write(path, side):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (side, side, 3), np.uint8))

    for index in range(22):
        write(tmp_path / f"train/photos/photo{index:02}_0.jpg", 52)
    write(tmp_path / "valid/photos/other_0.jpg", 33)
    for name in ("Set5", "Set14"):
        write(tmp_path / f"bench/{name}/HR/image.png", 33)
        write(tmp_path / f"bench/{name}/LR_bicubic/X2/imagex2.png", 16)
    return tmp_path


def run(driver, monkeypatch, data, *args):
    options = ["--work", data / "work", "--out", data / "out", "--iterations", 2, "--seeds", 2]
    options += ["--candidates", 1, "--data", data]
    monkeypatch.setattr(sys, "argv", ["elastic_front.py", *map(str, [*options, *args])])
    driver.main()


def rows(data, name):
    with (data / f"out/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_from_the_supernet_to_the_report(driver, monkeypatch, data, capsys):
    run(driver, monkeypatch, data, "--shard", "0/2")
    first = rows(data, "elastic_front")
    run(driver, monkeypatch, data, "--shard", "1/2")
    run(driver, monkeypatch, data)  # finds everything done
    front, ranks = rows(data, "elastic_front"), rows(data, "elastic_ranks")
    assert front[: len(first)] == first and len(first) < len(front)
    assert sorted((r["kind"], r["network"], r["seed"]) for r in front) == sorted(
        (kind, name, str(seed))
        for kind, name in (
            ("elastic", "elastic_0"),
            ("random", "random_0"),
            ("handmade", "edsr"),
            ("tuned", "tuned_0"),
        )
        for seed in range(2)
    )
    assert len(ranks) == 2
    for row in front:
        assert float(row["predicted_ms"]) <= float(row["budget_ms"])
        assert 0 < float(row["psnr_set5"]) < 60 and int(row["params"]) > 0
    plan = json.loads((data / "out/elastic_plan.json").read_text())
    assert plan["seconds"].keys() == {"selection", "supernet"}
    printed = capsys.readouterr().out
    assert "elastic_0" in printed and "of 2 seeds" in printed
