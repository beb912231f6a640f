"""The driver of the pruning experiment on tiny images: cut, file, rows, report."""

import csv
import importlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmsrnas.pruning import verified_groups

ROOT = Path(__file__).parents[2]


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("prune_proof")
    monkeypatch.setattr(module, "SCORING_BATCHES", 1)
    monkeypatch.setattr(module, "TAUGHT_AT_ONCE", 2)  # less than there are steps
    cost, groups = module.Cost("params"), []
    monkeypatch.setattr(module, "Cost", lambda kind: cost)  # needs no tracing

    def tried_once(net):
        groups[:] = groups or [verified_groups(net)]
        return groups[0]

    monkeypatch.setattr(module, "verified_groups", tried_once)
    yield module
    del sys.modules["prune_proof"]


def test_from_the_cut_to_the_report(driver, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for folder in ("photos", "BSDS500/train"):
        (tmp_path / folder).mkdir(parents=True)
    for index in range(22):
        image = rng.integers(0, 256, (52, 52, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"photos/photo{index:02}_0.jpg"), image)
        cv2.imwrite(str(tmp_path / "BSDS500/train/image.jpg"), image)
    table = tmp_path / "rows.csv"

    def run(step, *more):
        args = ["--data", tmp_path, "--work", tmp_path / "work", "--out", table, "--seeds", 1]
        args += ["--networks", "edsr", "--width", 16, "--depth", 1, "--shares", 0.6]
        args += ["--iterations", 2, "--batch-size", 2, *more]
        monkeypatch.setattr(sys, "argv", ["prune_proof.py", *map(str, [step, *args])])
        driver.main()
        with table.open(newline="") if table.is_file() else Path("/dev/null").open() as file:
            return list(csv.DictReader(file))

    with pytest.raises(FileNotFoundError, match="run 'cut' first"):
        run("tune")
    run("cut")
    assert "loss" in capsys.readouterr().out
    run("cut")  # all there
    assert not capsys.readouterr().out
    some = run("tune", "--tuning", 3, "--ways", "loss", "scratch")
    assert [row["way"] for row in some] == ["teacher", "loss", "full", "scratch"]
    rows = run("tune", "--tuning", 3)
    assert rows[:4] == some
    assert [row["way"] for row in rows[4:]] == ["loss-teacher", "uniform"]
    found = {row["way"]: row for row in rows}
    for way in ("loss", "loss-teacher", "uniform", "scratch"):
        assert float(found[way]["cost"]) <= 0.6 * float(found["full"]["cost"])
    assert found["scratch"]["widths"] == found["uniform"]["widths"]
    assert len({row["psnr_photos"] for row in rows}) == 6  # each its own training
    assert len(run("tune", "--tuning", 1, "--ways", "loss")) == 9  # of another recipe
    assert "| edsr_16x1 | steady | 2 | 3 | 0.6 | loss-teacher | 1 |" in capsys.readouterr().out
