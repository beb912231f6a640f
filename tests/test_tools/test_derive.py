"""The genotype of a search is read off its checkpoint alone."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmsrnas.genotypes import load_genotype

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/test_engine"))
import tiny_search  # noqa: E402


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Work dir of a search of DLSR that lasted three iterations."""
    folder = tmp_path_factory.mktemp("derive")
    tiny_search.write_images(folder)
    supernet = {"type": "mmsrnas.DLSRSupernet", "mid_channels": 4, "num_cells": 4}
    runner = tiny_search.runner(folder, iters=3, augment=False, supernet=supernet)
    with torch.no_grad():  # makes the choice of each layer and connection a sure one
        for i, (_, param) in enumerate(runner.model.generator.arch_parameters()):
            param.copy_(torch.randn(param.shape, generator=torch.Generator().manual_seed(i)))
    runner.train()
    return folder / "run", runner.model.generator.genotype()


@pytest.fixture
def derive(run_tool):
    with DefaultScope.overwrite_default_scope("mmagic"):
        yield lambda *args: run_tool("derive.py", *args)


def edited(work_dir, tmp_path, edit):
    """A checkpoint that was changed."""
    checkpoint = torch.load(work_dir / "iter_3.pth", weights_only=True)
    edit(checkpoint)
    torch.save(checkpoint, tmp_path / "edited.pth")
    return tmp_path / "edited.pth"


def test_work_dir(searched, derive):
    work_dir, expected = searched
    printed = derive(work_dir)
    assert load_genotype(work_dir / "genotype.json", "dlsr") == expected
    assert (work_dir / "genotype.png").stat().st_size > 10_000
    origin = json.loads((work_dir / "genotype.json").read_text())["provenance"]
    assert (origin["seed"], origin["iteration"]) == (3, 3)
    assert origin["checkpoint"].endswith("iter_3.pth")
    assert "after 3 iterations" in printed
    assert all(op in printed for op in expected.ops)


def test_checkpoint_and_config(searched, derive, tmp_path):
    work_dir, expected = searched
    bare = edited(work_dir, tmp_path, lambda checkpoint: checkpoint["meta"].pop("cfg"))
    with pytest.raises(SystemExit, match="holds no config: name it by --config"):
        derive(bare)
    config = next(work_dir.glob("*/vis_data/config.py"))
    derive(bare, "--config", config, "--out", tmp_path / "found.json")
    assert load_genotype(tmp_path / "found.json") == expected


def test_network_is_no_search(searched, derive, tmp_path):
    def edit(checkpoint):
        text = checkpoint["meta"]["cfg"].replace("mmsrnas.DLSRSupernet", "mmsrnas.DLSRNet")
        text = text.replace("num_cells=4,", "genotype='DLSR',")
        checkpoint["meta"]["cfg"] = text

    with pytest.raises(
        SystemExit, match=r"no checkpoint of a search.*needs a supernet, got DLSRNet"
    ):
        derive(edited(searched[0], tmp_path, edit))


def test_parameter_is_missing(searched, derive, tmp_path):
    def edit(checkpoint):
        del checkpoint["state_dict"]["generator.alpha"]

    with pytest.raises(SystemExit, match=r"(?s)does not fit 'generator'.*missing: alpha"):
        derive(edited(searched[0], tmp_path, edit))


@pytest.mark.parametrize(
    ("source", "message"), [("nowhere.pth", "does not exist"), (".", "no whole checkpoint in '.'")]
)
def test_missing_checkpoint(derive, tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        derive(source)


def test_config_is_not_executed(searched, derive, tmp_path):
    """Neither as Python, nor by a type that mmengine would import and call."""
    made = tmp_path / "made"
    for attack in (
        f"import os; os.mkdir({str(made)!r})\n",
        f"x = __import__('os').mkdir({str(made)!r})\n",
        f"model = dict(generator=dict(type='os.mkdir', path={str(made)!r}))\n",
        f"model = dict(generator=dict(type='DLSRNet', act=dict(type='os.mkdir', name='{made}')))\n",
    ):

        def edit(checkpoint, attack=attack):
            checkpoint["meta"]["cfg"] += attack

        with pytest.raises(SystemExit, match="more than plain data"):
            derive(edited(searched[0], tmp_path, edit))
        assert not made.exists()


def test_argmax_of_nan_is_no_genotype(searched, derive, tmp_path):
    def diverge(checkpoint):
        checkpoint["state_dict"]["generator.alpha"][0, 0] = torch.nan

    path = edited(searched[0], tmp_path, diverge)
    with pytest.raises(SystemExit, match=r"edited\.pth.*'alpha'.*NaN"):
        derive(path)
    assert not (tmp_path / "genotype.json").exists()
