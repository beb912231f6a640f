"""The weights' optimizer holds the weights, all of them, and nothing else."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from mmsrnas.models import DLSRSupernet

CONSTRUCTOR = "mmsrnas.SearchOptimWrapperConstructor"


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmagic"):
        yield


def editor(generator):
    model = nn.Module()
    model.generator = generator
    return model


def build(model, optimizer, **options):
    cfg = {"constructor": CONSTRUCTOR, "optimizer": optimizer, **options}
    return build_optim_wrapper(model, cfg).optimizer


@pytest.mark.parametrize("kind", ["Adam", "Adagrad"])  # Adagrad makes its state at once
@pytest.mark.parametrize("paramwise", [None, {"bias_lr_mult": 2.0}])
def test_weights_only(kind, paramwise):
    supernet = DLSRSupernet(mid_channels=4, num_cells=4)
    options = {"paramwise_cfg": paramwise} if paramwise else {}
    optimizer = build(editor(supernet), {"type": kind, "lr": 0.1}, **options)
    found = {id(p) for group in optimizer.param_groups for p in group["params"]}
    arch = {id(p) for _, p in supernet.arch_parameters()}
    assert found == {id(p) for p in supernet.parameters()} - arch
    assert {id(p) for p in optimizer.state} <= found
    assert all(group["params"] for group in optimizer.param_groups)


def test_paramwise_options_are_kept():
    supernet = DLSRSupernet(mid_channels=4, num_cells=2)
    optimizer = build(
        editor(supernet), {"type": "SGD", "lr": 0.1}, paramwise_cfg={"bias_lr_mult": 2.0}
    )
    names = {id(p): name for name, p in supernet.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert all(rate == (0.2 if name.endswith("bias") else 0.1) for name, rate in rates.items())
    assert set(rates.values()) == {0.1, 0.2}


def test_no_supernet():
    with pytest.raises(TypeError, match=r"model\.generator: a search needs a supernet, got Conv2d"):
        build(editor(nn.Conv2d(1, 1, 1)), {"type": "SGD", "lr": torch.tensor(0.1).item()})


def test_only_the_generator_is_clipped():
    model = editor(DLSRSupernet(mid_channels=4, num_cells=2))
    model.dual_networks = nn.Conv2d(3, 3, 3)
    cfg = {"constructor": CONSTRUCTOR, "optimizer": {"type": "SGD", "lr": 0.1}}
    wrapper = build_optim_wrapper(model, cfg | {"clip_grad": {"max_norm": 1.0}})
    weights = [p for group in wrapper.optimizer.param_groups for p in group["params"]]
    for param in weights:
        param.grad = torch.full_like(param, 5.0)
    wrapper._clip_grad()
    duals = set(model.dual_networks.parameters())
    assert duals <= set(weights)
    assert all((param.grad == 5).all() for param in duals)
    clipped = torch.cat([param.grad.flatten() for param in weights if param not in duals])
    assert clipped.norm().item() == pytest.approx(1, rel=1e-4)
