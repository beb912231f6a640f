"""A run that diverges ends with its cause, and leaves what was good as it was."""

import re

import pytest
import tiny_search
import torch
from mmengine.hooks import Hook
from torch import nn

from mmsrnas.engine import FiniteCheckHook
from mmsrnas.finite import not_finite, require_finite
from mmsrnas.models import DLSRNet

CHECK = {"type": "mmsrnas.FiniteCheckHook"}
GENOTYPE = {"type": "mmsrnas.GenotypeHook"}
EDSR = dict(
    type="EDSRNet", in_channels=3, out_channels=3, mid_channels=8, num_blocks=1, upscale_factor=2
)
RUNS = {
    "mixed": {},
    "bilevel": dict(arch={"mode": "bilevel"}),
    "DRC": dict(
        arch={"mode": "bilevel"},
        supernet=dict(type="mmsrnas.ChannelNumberSearch", generator=EDSR, budget_share=0.95),
    ),
    "training": dict(
        supernet=EDSR,
        custom_hooks=[],
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=0.01)),
    ),
}


class PoisonHook(Hook):
    """Makes something NaN in the fourth iteration."""

    def __init__(self, what) -> None:
        self.what = what

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter != 3:
            return
        if self.what == "image":
            data_batch["inputs"][0] = torch.full_like(data_batch["inputs"][0].float(), torch.nan)
        if self.what == "gradient":
            weights = next(p for p in runner.model.generator.parameters() if p.ndim == 4)
            weights.register_hook(lambda gradient: gradient * torch.nan)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter == 3 and self.what == "alpha":
            _, alpha = next(iter(runner.model.generator.arch_parameters()))
            alpha.data.view(-1)[0] = torch.inf


def diverge(images, run, what, check=True):
    options = dict(iters=6, val_interval=2, save_interval=2, run=f"{run}_{what}") | RUNS[run]
    hooks = options.pop("custom_hooks", [GENOTYPE])
    runner = tiny_search.runner(images, hooks=hooks, **options)
    if run == "training":
        runner._hooks = [h for h in runner.hooks if type(h).__name__ != "ArchOptimizerHook"]
    runner.register_hook(dict(type=PoisonHook, what=what))
    if check:
        runner.register_hook(CHECK)
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    return images / f"{run}_{what}", str(error.value)


@pytest.mark.parametrize(
    ("run", "what"),
    [(run, "image") for run in RUNS] + [("training", "gradient"), ("mixed", "alpha")],
)
def test_the_run_ends_with_its_cause_and_good_files(images, run, what):
    folder, message = diverge(images, run, what)
    assert message.startswith("Iteration 4: ")
    cause = {"image": "loss is nan", "gradient": r"\.weight", "alpha": r"generator\.\w+"}[what]
    assert re.search(cause, message)
    assert len(re.findall(r"hr/\d\d\.png", message)) == 2
    assert f"'{folder / 'iter_2.pth'}'" in message
    assert "optim_wrapper.optimizer.lr" in message
    files = sorted(path.name for path in folder.glob("*.pth"))
    assert "iter_2.pth" in files and "iter_4.pth" not in files
    for file in files:
        state = torch.load(folder / file, weights_only=False)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())
    assert (folder / "last_checkpoint").read_text().endswith("iter_2.pth")
    if run != "training":
        assert '"iteration": 2' in (folder / "genotype.json").read_text()


def test_no_genotype_of_nan_is_written_without_the_hook(images):
    folder, message = diverge(images, "mixed", "alpha", check=False)
    assert "The supernet at iteration 4" in message and "alpha" in message
    assert '"iteration": 2' in (folder / "genotype.json").read_text()


def test_saving_is_refused_whoever_asks(images):
    runner = tiny_search.runner(images, run="saved")
    runner.register_hook(CHECK)
    runner.model.generator.alpha.data[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"generator\.alpha"):
        runner.save_checkpoint(
            str(images / "saved"), "x.pth", save_optimizer=False, save_param_scheduler=False
        )
    assert not (images / "saved/x.pth").exists()


@pytest.mark.parametrize("event", ["after_val_epoch", "after_test_epoch"])
def test_metric_without_value(images, event):
    runner = tiny_search.runner(images, run="metrics")
    check = getattr(FiniteCheckHook(), event)
    check(runner, metrics={"Set5/PSNR": float("inf"), "Set5/SSIM": 1.0})
    with pytest.raises(FloatingPointError, match="Set5/PSNR is NaN"):
        check(runner, metrics={"Set5/PSNR": float("nan"), "Set5/SSIM": 1.0})


def test_what_counts_as_finite():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    net.register_buffer("baseline", torch.tensor(torch.nan))  # an initial value
    assert not_finite(net) is None
    assert not_finite(nn.ReLU()) is None
    assert not_finite(DLSRNet("DLSR_TINY").half()) is None
    net[1].running_var.fill_(torch.inf)
    assert "1 tensor(s)" in not_finite(net) and "1.running_var" in not_finite(net)
    with pytest.raises(FloatingPointError, match=r"net\.pth: 1 tensor.*earlier checkpoint"):
        require_finite(net, "net.pth")
    net[0].bias.data.fill_(-torch.inf)
    assert "2 tensor(s)" in not_finite(net)
