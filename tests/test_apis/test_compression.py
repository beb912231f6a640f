"""From a trained network and a budget to a smaller one."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmsrnas.apis import init_generator
from mmsrnas.apis.auto import Budget
from mmsrnas.apis.compression import Settings, _features, compress
from mmsrnas.costs import Cost, count_params
from mmsrnas.genotypes import load_genotype
from mmsrnas.pruning import find_groups
from mmsrnas.registry import MODELS

from .test_pruning import COLOR, EDSR, build, config

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
    gan = Config(cfg.to_dict())
    gan.model.type = "RealESRGAN"
    with pytest.raises(ValueError, match="RealESRGAN trains with more than its generator"):
        compress(gan, checkpoint, out, budget_of(net, 0.5), Settings("l1", iterations=1))
    thin, file, net = trained(generator=dict(type="SRCNNNet", channels=(3, 1, 1, 3)))
    with pytest.raises(ValueError, match="SRCNNNet has no channels that can be pruned"):
        compress(thin, file, out, budget_of(net, 0.5), settings)
    assert not out.exists()


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
