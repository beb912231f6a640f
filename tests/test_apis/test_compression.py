"""From a trained network and a budget to a smaller one."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmsrnas.apis import compression, init_generator
from mmsrnas.apis.auto import Budget
from mmsrnas.apis.compression import Settings, _features, compress
from mmsrnas.costs import Cost, count_params
from mmsrnas.genotypes import load_genotype
from mmsrnas.models.editors import DistillationEditor
from mmsrnas.pruning import find_groups
from mmsrnas.registry import MODELS

from .test_pruning import COLOR, EDSR, build, config

GRAY = dict(in_channels=1, out_channels=1, rgb_mean=[0.0], rgb_std=[1.0])
DRN = dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=1, mid_channels=16)


@pytest.fixture
def trained(tmp_path, paired_images):
    """Config of a small EDSR that trains and validates, and its checkpoint."""

    def make(editor="BaseEditModel", generator=None):
        cfg = config(paired_images)
        cfg.model.generator = generator or (EDSR | COLOR)
        cfg.model.type = editor
        if editor == "BaseEditModel":
            cfg.model.pop("pyramid"), cfg.model.pop("dual_network")
        metric = dict(type="mmsrnas.PSNR", crop_border=2)
        cfg.merge_from_dict(
            dict(
                train_cfg=dict(type="IterBasedTrainLoop", max_iters=10, val_interval=100),
                optim_wrapper=dict(optimizer=dict(type="Adam", lr=1e-4)),
                val_dataloader=dict(
                    batch_size=1,
                    num_workers=0,
                    sampler=dict(type="DefaultSampler", shuffle=False),
                    dataset=dict(cfg.train_dataloader.dataset),
                ),
                val_evaluator=dict(type="Evaluator", metrics=[metric]),
                val_cfg=dict(type="MultiValLoop"),
                log_level="ERROR",
            )
        )
        net = build(cfg, tmp_path / "full.pth").generator
        return Config(cfg.to_dict()), tmp_path / "full.pth", net

    return make


def budget_of(net, share, kind="params"):
    cost = Cost(kind)
    return Budget(cost, share * cost(net))


def test_cut_tuned_tested_and_reported_and_not_done_twice(trained, tmp_path, monkeypatch):
    cfg, checkpoint, net = trained()
    budget = budget_of(net, 0.67)
    settings = Settings(divisor=4, num_batches=2, iterations=4, rounds=2)
    report = compress(cfg, checkpoint, tmp_path / "out", budget, settings)
    full, pruned = json.loads((tmp_path / "out/report.json").read_text())
    assert full["params"] == count_params(net) and pruned["params"] <= budget.limit
    assert pruned["params"] > 0.4 * full["params"] and "PSNR" in " ".join(full)
    assert "| conv_first | 16 |" in report.read_text()
    file = tmp_path / "out/pruned.pth"
    alone = init_generator(file, file)
    assert count_params(alone) == pruned["params"]
    assert any("distillation" in line for line in (tmp_path / "out/round_1/tune.py").open())
    first, last = (
        torch.load(tmp_path / "out" / name, weights_only=True)["state_dict"]
        for name in ("round_2/pruned.pth", "pruned.pth")
    )
    name = "generator.conv_last.weight"
    assert first[name].shape == last[name].shape and not torch.equal(first[name], last[name])

    monkeypatch.setattr(Runner, "train", lambda self: pytest.fail("trained again"))
    monkeypatch.setattr(Runner, "test", lambda self: pytest.fail("tested again"))
    compress(cfg, checkpoint, tmp_path / "out", budget, settings)
    with pytest.raises(ValueError, match="belongs to another job: budget differ"):
        compress(cfg, checkpoint, tmp_path / "out", budget_of(net, 0.6), settings)


def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(trained, tmp_path, monkeypatch):
    """Ended in the first round's tuning, before the second cut, and before the second test."""
    cfg, checkpoint, net = trained()
    arguments = budget_of(net, 0.67), Settings("l1", divisor=4, iterations=4, rounds=2)
    compress(cfg, checkpoint, tmp_path / "whole", *arguments)
    steps, cuts, tests = [], [], []
    for owner, name, calls, last in (
        (DistillationEditor, "train_step", steps, 2),
        (compression, "remove_channels", cuts, 1),
        (Runner, "test", tests, 2),
    ):
        ending_after(monkeypatch, owner, name, calls, last)
        with pytest.raises(KeyboardInterrupt):
            compress(cfg, checkpoint, tmp_path / "broken", *arguments)
        monkeypatch.undo()
    compress(cfg, checkpoint, tmp_path / "broken", *arguments)
    whole, broken = (
        torch.load(tmp_path / name / "pruned.pth", weights_only=True)["state_dict"]
        for name in ("whole", "broken")
    )
    assert all(torch.equal(value, broken[key]) for key, value in whole.items())
    reports = [(tmp_path / name / "report.json").read_text() for name in ("whole", "broken")]
    assert reports[0] == reports[1]
    assert (tmp_path / "broken/round_1/tune/iter_2.pth").is_file()


def ending_after(monkeypatch, owner, name, calls, last):
    """Lets the process be interrupted at a call of a function."""
    original = getattr(owner, name)

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) == last:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize("importance", ["taylor", "l1", "random"])
def test_one_shot_without_tuning(trained, tmp_path, importance):
    cfg, checkpoint, net = trained()
    for key in ("val_dataloader", "val_evaluator", "val_cfg"):
        cfg.pop(key)
    budget = budget_of(net, 0.6, "multi_adds")
    settings = Settings(importance, divisor=4, num_batches=1, iterations=0)
    compress(cfg, checkpoint, tmp_path / "out", budget, settings)
    alone = init_generator(tmp_path / "out/pruned.pth", tmp_path / "out/pruned.pth")
    assert Cost("multi_adds")(alone) <= budget.limit
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    rows = weights["generator.conv_first.weight"].flatten(1)
    assert all((rows == row).all(1).any() for row in alone.conv_first.weight.flatten(1))


def test_bad_input_is_named_before_anything_is_written(trained, tmp_path):
    cfg, checkpoint, net = trained()
    out = tmp_path / "out"
    settings = Settings("l1", iterations=0)
    with pytest.raises(ValueError, match="out of reach; the network with the smallest widths cost"):
        compress(cfg, checkpoint, out, budget_of(net, 0.01), settings)
    _, small, _ = trained(generator=EDSR | COLOR | dict(mid_channels=8))
    with pytest.raises(ValueError, match="does not fit 'generator' of the config"):
        compress(cfg, small, out, budget_of(net, 0.5), settings)
    for changes, message in (
        (dict(importance="luck"), "importance: expected one of"),
        (dict(divisor=0), "divisor: expected at least 1, got 0"),
        (dict(rounds=2, iterations=0), "rounds: several need iterations"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings(**changes)
    _, triple, net = trained(generator=EDSR | COLOR | dict(upscale_factor=3))
    with pytest.raises(ValueError, match="does not fit 'generator' of the config"):
        compress(cfg, triple, out, budget_of(net, 0.5), settings)
    gan = Config(cfg.to_dict())
    gan.model.type = "RealESRGAN"
    with pytest.raises(ValueError, match="RealESRGAN trains with more than its generator"):
        compress(gan, checkpoint, out, budget_of(net, 0.5), Settings("l1", iterations=1))
    thin, file, net = trained(generator=dict(type="SRCNNNet", channels=(3, 1, 1, 3)))
    with pytest.raises(ValueError, match="SRCNNNet has no channels that can be pruned"):
        compress(thin, file, out, budget_of(net, 0.5), settings)
    assert not out.exists()


@pytest.mark.parametrize(
    "other, message",
    [
        (dict(upscale_factor=3), "3x16x16 .* makes 3x48x48, but the ground truth is 3x32x32"),
        (GRAY, "images have 3 channels; EDSRNet reads 1"),
    ],
)
def test_data_of_another_kind_are_named_before_anything_is_cut(trained, tmp_path, other, message):
    cfg, checkpoint, net = trained(generator=EDSR | COLOR | other)
    with pytest.raises(ValueError, match=message):
        compress(cfg, checkpoint, tmp_path / "out", budget_of(net, 0.5), Settings(divisor=4))
    assert not list(tmp_path.glob("out/round_1/*"))


def test_closed_loop(trained, tmp_path):
    cfg, checkpoint, net = trained("mmsrnas.DualRegressionEditor", DRN)
    settings = Settings("l1", num_batches=1, iterations=1)
    compress(cfg, checkpoint, tmp_path / "drn", budget_of(net, 0.8), settings)
    alone = init_generator(tmp_path / "drn/pruned.pth", tmp_path / "drn/pruned.pth")
    assert alone.genotype.architecture == "DRNNet" and alone.genotype.groups
    assert count_params(alone) <= 0.8 * count_params(net)
    alone(torch.rand(1, 3, 9, 7), pyramid=True)


def test_branches_are_folded_before_they_are_cut(trained, tmp_path):
    genotype = load_genotype("ELASTIC_LARGE").to_dict()
    elastic = dict(type="mmsrnas.ElasticNet", genotype=genotype, upscale_factor=2)
    cfg, checkpoint, net = trained(generator=elastic | dict(reparameterized=True))
    cfg.pop("val_dataloader")
    budget = budget_of(net.fold(), 0.5)
    compress(cfg, checkpoint, tmp_path / "out", budget, Settings("l1", iterations=0))
    alone = init_generator(tmp_path / "out/pruned.pth", tmp_path / "out/pruned.pth")
    assert count_params(alone) <= budget.limit and alone.genotype.architecture == "ElasticNet"


def test_features_are_spread():
    net = MODELS.build(EDSR | COLOR | dict(num_blocks=8))
    names = _features(find_groups(net))
    assert 3 <= len(names) <= 6 and all(name in dict(net.named_modules()) for name in names)
