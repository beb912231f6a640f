"""The first step of each schedule equals the released one, whose images and loss are on 0..255."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmagic.structures import DataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmsrnas.models import HFENLoss
from mmsrnas.models.editors.dual_regression_editor import downscale
from mmsrnas.registry import MODELS

CONFIGS = Path(__file__).parents[1] / "configs"


def l1(editor, lr, hr):
    return F.l1_loss(editor.generator(lr), hr)


def l1_and_hfen(editor, lr, hr):
    sr = editor.generator(lr)
    return F.l1_loss(sr, hr) + HFENLoss(0.2, data_range=255.0)(sr, hr)


def pyramid(editor, lr, hr):
    """The primal loss of all levels and 0.1 times the dual loss."""
    duals = editor.dual_networks
    middle = [255 * downscale(hr / 255, 2 ** (k - 1)) for k in range(len(duals), 1, -1)]
    targets = [lr, *middle, hr]
    images = editor.generator(lr, pyramid=True)
    primal = sum(F.l1_loss(image, target) for image, target in zip(images, targets, strict=True))
    levels = zip(duals, images[1:], targets[:-1], strict=True)
    return primal + 0.1 * sum(F.l1_loss(dual(image), target) for dual, image, target in levels)


SMALL_DRN = dict(num_blocks=1, mid_channels=8)
CASES = {
    "drn_x4": (
        "drn/drn_s_x4_df2k.py",
        dict(generator=SMALL_DRN, dual_network=dict(mid_channels=8)),
        pyramid,
        dict(lr=1e-4),
        None,
    ),
    "drn_x2": (
        "drn/drn_s_x4_df2k.py",
        dict(generator=dict(SMALL_DRN, upscale_factor=2), dual_network=dict(mid_channels=8)),
        pyramid,
        dict(lr=1e-4),
        None,
    ),
    "dlsr": (
        "dlsr/dlsr_x2_div2k.py",
        dict(generator=dict(genotype="DLSR_TINY")),
        l1_and_hfen,
        dict(lr=3e-4, weight_decay=1e-8),
        50,
    ),
    "hnas_a": (
        "hnas/hnas_a_x2_div2k.py",
        dict(generator=dict(mid_channels=8)),
        l1,
        dict(lr=1e-3),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_first_step_is_the_released_one(case):
    config, small, released_loss, adam, clip = CASES[case]
    init_default_scope("mmagic")
    cfg = Config.fromfile(CONFIGS / config)
    cfg.merge_from_dict({"model": small})
    torch.manual_seed(0)
    editor = MODELS.build(cfg.model)
    scale = editor.generator.upscale_factor
    hr = torch.randint(0, 256, (2, 3, 16 * scale, 20 * scale), dtype=torch.uint8)
    lr = F.avg_pool2d(hr.float(), scale).round().byte()

    released = deepcopy(editor)
    assert released.generator.img_range == 255
    released.generator.img_range = 1.0  # now reads and writes 0..255
    before = {name: p.detach().clone() for name, p in editor.named_parameters()}
    optimizer = torch.optim.Adam(released.parameters(), betas=(0.9, 0.999), eps=1e-8, **adam)
    released_loss(released, lr.float(), hr.float()).backward()
    if clip:
        torch.nn.utils.clip_grad_norm_(released.parameters(), clip)
    optimizer.step()

    samples = [DataSample(gt_img=image) for image in hr]
    wrapper = build_optim_wrapper(editor, cfg.optim_wrapper)
    editor.train_step(dict(inputs=list(lr), data_samples=samples), wrapper)

    ours, theirs = (
        torch.cat([(p.detach() - before[name]).flatten() for name, p in net.named_parameters()])
        for net in (editor, released)
    )
    assert theirs.norm() > 0
    difference = ((ours - theirs).norm() / theirs.norm()).item()
    assert difference <= 1e-4
