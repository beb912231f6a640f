"""Pictures of the tables."""

import json
import sys

import cv2
import pytest

from benchmarks.truth import load_truth, plots


@pytest.fixture
def records():
    """Scores and rows of the proof for some networks of a table."""
    genotypes = [json.dumps(g.to_dict()) for g in load_truth("dlsr").genotypes[:6]]
    ranks = [
        dict(space="dlsr", strategy="paths", finetune="0", lr="1", seed="0", genotype=g, score=i)
        for i, g in enumerate(genotypes)
    ]
    psnr = {f"psnr_{name}": "30" for name in ("set5", "set14", "valid")}
    groups = ("random", "random", "uniform", "published", "searched", "searched")
    proof = [
        dict(method="dlsr", group=group, genotype=g, latency_ms="" if i else "3", **psnr)
        for i, (group, g) in enumerate(zip(groups, genotypes, strict=True))
    ]
    return {plots.RANKS: ranks, plots.PROOF: proof}


@pytest.mark.parametrize("what", ["ranks", "proof"])
def test_draws(what, records, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "read_records", records.get)
    picture = tmp_path / "a.png"
    monkeypatch.setattr(sys, "argv", ["plots", what, str(picture)])
    plots.main()
    drawn = cv2.imread(str(picture))
    assert drawn.shape[0] > 200 and drawn.min() < 100 < drawn.mean()
