"""Tables of truth: the recipe, the driver that continues, and the answers of the loader."""

import copy
import json
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.truth import Truth, load_truth
from benchmarks.truth.__main__ import REPEATED, SEEDS, jobs
from benchmarks.truth.cuda_graphs import stack_batches, train_together
from benchmarks.truth.images import Images, held_out_sets, sample_batch, training_images
from benchmarks.truth.ranking import PATH_SUPERNETS, DrawnPaths
from benchmarks.truth.spaces import SPACES
from benchmarks.truth.table import COLUMNS, Row, append_row, read_rows, table_path
from benchmarks.truth.training import (
    Recipe,
    batches,
    evaluate,
    recipe_value,
    train,
    weight_groups,
)
from mmsrnas.genotypes import DLSRGenotype, ElasticGenotype
from mmsrnas.models import ElasticNet


def genotype(op):
    return DLSRGenotype((op,) * 3, ((0, 1),), 8, 2)


def rows():
    """Three architectures; the dearest is not the best, one has three seeds."""
    table = {"conv_1x1": (1, [30.0]), "conv_3x3": (9, [32.0, 32.2, 32.1]), "conv_5x5": (25, [31.5])}
    return [
        Row(genotype(op), seed, 1, cost, float("nan"), psnr - 1, psnr + 1, 1.0)
        for op, (cost, values) in table.items()
        for seed, psnr in enumerate(values)
    ]


def test_answers():
    truth = Truth(rows())
    small, middle, large = truth.genotypes
    assert truth.psnr(middle) == pytest.approx(32.1)
    assert truth.best() == middle
    assert truth.best(5) == small
    assert truth.regret(large) == pytest.approx(0.6)
    assert truth.regret(middle) == 0
    assert np.isnan(truth.noise())  # of one repeated architecture
    assert sum(truth.residuals().values()) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match=r"cheapest architecture costs 1, got 0\.5"):
        truth.best(0.5)


def test_what_a_seed_does_to_all_is_no_noise():
    values = {"conv_1x1": (30.0, 30.3, 30.0), "conv_3x3": (31.0, 31.1, 31.0)}
    table = [
        Row(genotype(op), seed, 1, 1, float("nan"), psnr + 5 * seed, psnr + 5 * seed, 1.0)
        for op, psnrs in values.items()
        for seed, psnr in enumerate(psnrs)
    ]
    # Without seeds and architectures 0.1/1.5 and half of it with other signs are left.
    left = np.array([[-1, 2, -1], [1, -2, 1]]) / 30
    assert Truth(table).noise() == pytest.approx(np.sqrt((left**2).sum() / 2))


def test_rows_survive_the_file(tmp_path):
    path = tmp_path / "table.csv"
    values = dict(zip(COLUMNS, ("", 1, 2, 3, "", 30.5, 31.5, 9.0), strict=True))
    append_row(path, values | {"genotype": json.dumps(genotype("conv_3x3").to_dict())})
    (row,) = read_rows(path)
    assert row.genotype == genotype("conv_3x3")
    assert (row.seed, row.params, row.multi_adds, row.psnr) == (1, 2, 3, 31.0)
    assert np.isnan(row.latency_ms)


@pytest.mark.parametrize("name", SPACES)
def test_jobs_are_the_same_everywhere_and_repeat_seeds(name):
    found = list(jobs(SPACES[name]))
    assert found == list(jobs(SPACES[name]))
    assert len(set(found)) == len(found) == SPACES[name].count + REPEATED * (SEEDS - 1)
    torch.manual_seed(0)
    space = SPACES[name]
    image = torch.rand(1, 1 if space.gray else 3, 24, 24)
    assert space.build(found[0][0]).eval()(image).shape[-1] == 24 * space.scale


@pytest.mark.parametrize("name", [name for name in SPACES if table_path(name).is_file()])
def test_committed_table_is_of_its_space(name):
    assert set(load_truth(name).genotypes) <= {genotype for genotype, _ in jobs(SPACES[name])}


def test_patches_of_a_pair_show_the_same_place():
    low = np.arange(40 * 40 * 3, dtype=np.float32).reshape(40, 40, 3) % 251
    images = Images([low.astype(np.uint8)], [low.repeat(2, 0).repeat(2, 1).astype(np.uint8)])
    rng = np.random.default_rng(0)
    x, y = sample_batch(images, 8, 10, 2, rng)
    assert torch.equal(nn.functional.interpolate(x, scale_factor=2), y)


def test_training_learns_and_depends_on_the_seed_alone():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    images = Images([low], [255 - low])

    def trained(seed, iterations):
        torch.manual_seed(0)
        net = nn.Conv2d(3, 3, 1)
        train(net, images, Recipe(iterations, lr=0.03, patch_size=8), 1, seed)
        return evaluate(net, images, 1)

    assert trained(0, 20) == trained(0, 20) != trained(1, 20)
    assert trained(0, 200) > 35


def test_rate_rises_and_falls():
    recipe = Recipe(100, lr=1.0, warm_up=9)
    rates = [float(recipe.rate(torch.tensor(step))) for step in (0, 9, 50, 99)]
    assert rates == pytest.approx([0.1, 0.9801, 0.5, 0.0002], abs=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["dlsr", "hinas_sr"])
def test_trained_side_by_side_or_alone(name):
    rng = np.random.default_rng(0)
    clean = [rng.integers(0, 256, (60, 60, 3), dtype=np.uint8) for _ in range(2)]
    images = Images([image[::2, ::2] for image in clean], clean)
    space = replace(SPACES[name], recipe=Recipe(30, patch_size=16))
    generator = np.random.default_rng(0)
    genotypes = [space.sample(generator) for _ in range(3)]
    alone, together = ([space.start(g, 0, images).cuda() for g in genotypes] for _ in range(2))
    for net in alone:
        train(net, images, space.recipe, space.scale, 0)
    stacked = stack_batches(batches(images, space.recipe, space.scale, 0))
    train_together(together, stacked, space.recipe)
    for one, other in zip(alone, together, strict=True):
        # Sums in another order, and TF32: 0.04 dB apart after these steps on an H100.
        assert evaluate(one, images, 2) == pytest.approx(evaluate(other, images, 2), abs=0.2)


def test_driver_goes_on_where_it_was_and_shards_give_the_rows_of_one_run(tmp_path, monkeypatch):
    from benchmarks.truth import __main__ as driver

    rng = np.random.default_rng(0)
    data = tmp_path / "data"
    (data / "photos").mkdir(parents=True)
    (data / "BSDS500/train").mkdir(parents=True)
    for index in range(22):
        image = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(data / f"photos/photo_{index:02}_0.jpg"), image)
        cv2.imwrite(str(data / f"BSDS500/train/{index}.jpg"), image)
    assert len(training_images(data, 2, False).inputs) == 2
    assert {k: len(v.inputs) for k, v in held_out_sets(data, 2, False).items()} == {
        "photos": 20,
        "bsds": 20,
    }
    space = SPACES["dlsr"]
    tiny = type(space)(space.sample, space.build, Recipe(1, patch_size=16), count=10)
    monkeypatch.setitem(SPACES, "dlsr", tiny)
    monkeypatch.setattr(
        driver, "jobs", lambda _: [(genotype("conv_1x1"), 0), (genotype("conv_1x1"), 1)]
    )

    def table(name, *shards):
        out = tmp_path / name
        for shard in shards:
            options = ["dlsr", "--data", str(data), "--out", str(out), "--shard", *shard.split()]
            monkeypatch.setattr(sys, "argv", ["truth", *options])
            driver.main()
        return [line.rpartition(",")[0] for line in out.read_text().splitlines()]  # no seconds

    whole = table("whole.csv", "0/1", "0/1")
    assert len(read_rows(tmp_path / "whole.csv")) == 2
    header, *rows = table("shards.csv", "1/2", "0/2")
    assert [header, *reversed(rows)] == whole
    assert table("first.csv", "0/1 --seeds 1") == whole[:2]


def test_data_without_photographs_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"photos: expected crops of more than 20"):
        training_images(tmp_path, 2, False)


def test_command_names_its_options(monkeypatch, capsys):
    from benchmarks.truth import __main__ as driver

    monkeypatch.setattr(sys, "argv", ["truth", "--help"])
    with pytest.raises(SystemExit):
        driver.main()
    assert "--shard" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "scale"), [("widths", 2), ("hnas", 1)])
def test_networks_see_the_mean_as_zero_and_give_it_back(name, scale):
    bright, seen = torch.full((1, 3, 6, 6), 0.45), []

    class Net(nn.Module):
        def forward(self, x):
            seen.append(x)
            return nn.functional.interpolate(x, scale_factor=scale)

    space = replace(SPACES[name], recipe=replace(SPACES[name].recipe, mean=0.45))
    torch.testing.assert_close(space.wrap(Net())(bright).mean(), bright.mean())
    assert not seen[0].any()


def test_recipe_on_the_command_line():
    values = map(recipe_value, ["iterations=30", "mean=0.5", "unit_variance=1"])
    recipe = replace(Recipe(), **dict(values))
    assert recipe == Recipe(30, mean=0.5, unit_variance=True)
    assert type(recipe.iterations) is int and recipe.unit_variance is True
    for wrong, message in (("rate=1", "expected one of iterations, lr"), ("lr=fast", "'fast'")):
        with pytest.raises(ArgumentTypeError, match=message):
            recipe_value(wrong)


def test_what_makes_the_image_learns_at_its_own_rate():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    images = Images([low], [low.repeat(2, 0).repeat(2, 1)])
    chain = ElasticGenotype(("conv_3x3",) * 2, (4, 4), "leaky_relu", upscale_factor=2)
    torch.manual_seed(0)
    start = ElasticNet(chain)
    for ends in (1.0, 0.25):
        net = copy.deepcopy(start)
        train(net, images, Recipe(1, lr=1e-3, patch_size=8, ends=ends), 2, 0)
        for name in ("head", "anchor"):
            moved = net.get_submodule(name).weight - start.get_submodule(name).weight
            assert moved.abs().max().item() == pytest.approx(ends * 1e-3, rel=1e-3)
    slow = {*net.head.parameters(), *net.anchor.parameters()}
    assert _slow(net, slow) == slow


def _slow(net, expected):
    """What learns slower; everything is in one group without a share."""
    low = torch.rand(1, 3, 16, 16)
    (group,) = weight_groups(net, Recipe(), low)
    assert set(group["params"]) == set(net.parameters()) and group["lr"] == 1
    groups = weight_groups(net, Recipe(ends=0.25), low)
    assert [group["lr"] for group in groups] == [1.0, 0.25]
    assert set(groups[0]["params"]) == set(net.parameters()) - expected
    return set(groups[1]["params"])


@pytest.mark.parametrize("name", ["hinas_sr", "hnas"])
def test_what_makes_the_image_of_a_supernet_runs_last(name):
    supernet = PATH_SUPERNETS[name]()
    net = DrawnPaths(supernet, seed=0)
    last = {"hinas_sr": "last/0", "hnas": "conv_last"}[name]
    expected = set(supernet.pool[last].parameters())
    assert expected and _slow(net, expected) == expected
