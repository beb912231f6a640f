"""The comparison of recipes on tiny images."""

import importlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def rates(monkeypatch):
    pytest.importorskip("pymoo")
    pytest.importorskip("spandrel")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("rates")
    del sys.modules["rates"], sys.modules["elastic_front"]


def test_one_row_for_each_recipe(rates, monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for index in range(22):
        image = rng.integers(0, 256, (52, 52, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"photos/photo{index:02}_0.jpg"), image)
    (tmp_path / "BSDS500/train").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "BSDS500/train/0.jpg"), image)
    out = tmp_path / "rates.csv"
    options = ["--data", str(tmp_path), "--iterations", "2", "--out", str(out), "--budget", "0"]

    def run(*more):
        monkeypatch.setattr(sys, "argv", ["rates.py", *more])
        rates.main()

    run("edsr", *options)
    run("edsr", "elastic_0", *options, "--recipe", "lr=2e-3", "ends=0.5")
    run("edsr", *options)  # is there
    found = rates.read_records(out)
    assert [(r["network"], r["lr"], r["ends"]) for r in found] == [
        ("edsr", "0.001", "1.0"),
        ("edsr", "0.002", "0.5"),
        ("elastic_0", "0.002", "0.5"),
    ]
    assert found[0]["psnr_bsds"] != found[1]["psnr_bsds"]
    capsys.readouterr()
    run("--report", "--out", str(out))
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5 and all(line.startswith("| 10.478 | ") for line in table[2:])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("rate=1", "expected one of iterations, lr"), ("warm_up=3", "expected some of lr, ends")],
)
def test_wrong_recipe(wrong, message, rates, monkeypatch, capsys):
    options = ["edsr", "--data", "x", "--recipe", wrong]
    monkeypatch.setattr(sys, "argv", ["rates.py", *options])
    with pytest.raises(SystemExit):
        rates.main()
    assert f"--recipe: {message}" in capsys.readouterr().err
