"""Architectures of a finished search are scored, ranked and written."""

import csv
import json
import sys
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from mmsrnas.genotypes import load_genotype

sys.path.insert(0, str(Path(__file__).parents[1] / "test_engine"))
import tiny_rl_search
import tiny_search


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rank")
    tiny_search.write_images(folder)
    tiny_rl_search.runner(folder, iters=6, val_interval=6).train()
    return folder / "rl"


@pytest.fixture
def rank(run_tool):
    with DefaultScope.overwrite_default_scope("mmagic"):
        yield lambda *args: run_tool("rank_policy.py", *args)


def test_ranks_the_policy_beside_random_search(searched, rank):
    printed = rank(searched, "--num-samples", 4, "--top-k", 2, "--calibration-batches", 1)
    with open(searched / "derived/architectures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    header = (searched / "derived/architectures.csv").read_text().splitlines()[0].split(",")
    assert len(header) == len(set(header))
    assert sorted(row["group"] for row in rows) == ["argmax"] + ["random"] * 5 + ["sample"] * 4
    rewards = [float(row["reward"]) for row in rows]
    assert rewards == sorted(rewards, reverse=True)
    best = load_genotype(searched / "derived/top1.json", "hnas")
    space = tiny_rl_search.runner(searched.parent, run="space").model.generator.space
    top = next(row for row in rows if row["group"] != "random")
    ranked = space.decode([int(t) for t in top["tokens"].split()])
    assert best == ranked.replace(mid_channels=4)  # derived_mid_channels
    for name in ("top1.png", "top2.json", "random1.json", "random2.png", "pareto.png"):
        assert (searched / "derived" / name).is_file()
    origins = [
        json.loads((searched / f"derived/{name}1.json").read_text())["provenance"]
        for name in ("top", "random")
    ]
    assert {origin["group"] for origin in origins} == {top["group"], "random"}
    assert all(origin["config"] and origin["checkpoint"] == "iter_6.pth" for origin in origins)
    lines = {line.split()[0]: line.split() for line in printed.splitlines() if line}
    assert lines["policy"][1] == lines["random"][1] == "5"


def test_what_is_no_search_of_hnas_is_refused(rank, searched, tmp_path):
    with pytest.raises(SystemExit):
        rank(tmp_path)
    config = tmp_path / "other.py"
    config.write_text(DLSR % searched.parent)
    with pytest.raises(SystemExit, match=r"model.generator is DLSRSupernet, not HNASSupernet"):
        rank(searched, "--config", config)


DLSR = """
model = dict(
    type="BaseEditModel",
    generator=dict(type="mmsrnas.DLSRSupernet", mid_channels=4),
    pixel_loss=dict(type="L1Loss"),
)
train_dataloader = val_dataloader = dict(
    dataset=dict(data_root="%s", data_prefix=dict(img="lr", gt="hr"))
)
"""
