"""The stages of DRC as runs of mmengine: search, resume, fine-tune."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_search import Killed, KillHook

from mmsrnas.genotypes import load_genotype
from mmsrnas.models import DRNNet
from mmsrnas.pruning import WidthCost, find_sites

DEMO = Path(__file__).parents[2] / "configs/demo"


@pytest.fixture
def run(tmp_path, paired_images):
    """Runs a demo config for some iterations on six images."""

    def run(name, iters, folder, resume=False, kill=None, **model):
        cfg = Config.fromfile(DEMO / f"drc_{name}_small_x2_photographs.py")
        loaders = [cfg.train_dataloader]
        if name == "search":
            loaders.append(cfg.default_hooks.arch_optimizer.dataloader)
        for part, loader in enumerate(loaders):
            loader.num_workers, loader.persistent_workers, loader.batch_size = 0, False, 2
            loader.dataset.data_root = str(paired_images)
            loader.dataset.data_prefix = {"img": "LR_bicubic/X{scale}", "gt": "HR"}
            loader.dataset.filename_tmpl = {"img": "{}x{scale}", "gt": "{}"}
            loader.dataset.patch_size = 32
            loader.dataset.index_range = (3 * part, 3 * part + 3)
        net = cfg.model.generator
        net = net.generator if name == "search" else net
        net.num_blocks, net.mid_channels = 1, 8
        cfg.model.dual_network.mid_channels = 8
        cfg.merge_from_dict({f"model.{key}": value for key, value in model.items()})
        cfg.pop("test_dataloader"), cfg.pop("test_cfg"), cfg.pop("test_evaluator")
        cfg.train_cfg.max_iters, cfg.param_scheduler.end = iters, 100
        cfg.default_hooks.checkpoint.update(interval=2, max_keep_ckpts=-1)
        cfg.randomness = {"seed": 3}
        cfg.resume, cfg.work_dir = resume, str(tmp_path / folder)
        cfg.log_level, cfg.experiment_name = "ERROR", f"{tmp_path.name}_{folder}_{resume}"
        runner = Runner.from_cfg(cfg)
        if kill:
            runner.register_hook(KillHook(kill, "before_train_iter"))
        runner.train()
        return tmp_path / folder, runner.model

    return run


def test_search_resumes_to_the_same_result_and_fine_tuning_starts_from_the_result(run):
    trained, editor = run("train", 2, "train")
    full = str(trained / "iter_2.pth")
    moved = torch.load(full, weights_only=False)["state_dict"]["dual_networks.0.conv_last.weight"]
    assert not torch.equal(moved, torch.zeros_like(moved))

    whole, reference = run("search", 4, "whole", pretrained=full)
    with pytest.raises(Killed):
        run("search", 4, "parts", kill=2, pretrained=full)
    parts, resumed = run("search", 4, "parts", resume=True, pretrained=full)
    state = resumed.state_dict()
    for name, tensor in reference.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    start = editor.state_dict()
    assert not torch.equal(
        state["dual_networks.0.conv_last.weight"], start["dual_networks.0.conv_last.weight"]
    )

    genotype = load_genotype(parts / "genotype.json", "drc")
    assert genotype == load_genotype(whole / "genotype.json")
    net = DRNNet(2, 1, 8)
    cost = WidthCost(net, find_sites(net))
    share = float(cost(torch.tensor(genotype.widths))) / cost.full()
    assert 0.9 * 0.5 < share <= 0.5  # four channels are 5 % of this network

    pruned = DRNNet(genotype=genotype)
    duals = {k: v for k, v in start.items() if k.startswith("dual_networks")}
    weights = {f"generator.{k}": v for k, v in pruned.state_dict().items()} | duals
    torch.save({"state_dict": weights}, parts / "pruned.pth")
    options = {"generator.genotype": str(parts / "genotype.json")}
    _, tuned = run("finetune", 1, "tune", pretrained=str(parts / "pruned.pth"), **options)
    change = tuned.generator.conv_first.weight - pruned.conv_first.weight
    assert 0 < change.abs().max() < 1e-2  # one step away from what was loaded
    with pytest.raises(ValueError, match=r"does not fit 'generator' of the config"):
        run("finetune", 1, "full", pretrained=str(parts / "pruned.pth"))
    with pytest.raises(FileNotFoundError, match=r"model\.pretrained: .*none\.pth"):
        run("train", 1, "none", pretrained="none.pth")
