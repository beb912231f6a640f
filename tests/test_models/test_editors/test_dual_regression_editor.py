import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmagic.structures import DataSample
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from mmsrnas.datasets import imresize
from mmsrnas.models.editors.dual_regression_editor import downscale
from mmsrnas.registry import MODELS

DRN = dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=1, mid_channels=4)
EDSR = dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=4, num_blocks=1)
L1 = dict(type="L1Loss", loss_weight=1.0, reduction="mean")
PREPROCESSOR = dict(type="mmagic.DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3)


def build(generator, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type="mmsrnas.DualRegressionEditor",
            generator=generator,
            pixel_loss=L1,
            data_preprocessor=PREPROCESSOR,
            **kwargs,
        )
    )


def images(count=2, scale=4, unpaired=()):
    torch.manual_seed(1)
    hr = torch.rand(count, 3, 8 * scale, 12 * scale)
    hr = F.interpolate(F.avg_pool2d(hr, 4), scale_factor=4, mode="bicubic").clamp(0, 1)
    samples = [DataSample(gt_img=image) for image in hr]
    for index, sample in enumerate(samples):
        sample.set_metainfo(dict(unpaired=index in unpaired))
    return downscale(hr, scale), DataSample.stack(samples), hr


def test_pyramid_loss_is_the_formula_of_the_paper():
    editor = build(DRN, dual_network=dict(type="mmsrnas.DualNet", mid_channels=4), pyramid=True)
    lr, samples, hr = images()
    losses = editor(lr, samples, mode="loss")
    outputs = editor.generator(lr, pyramid=True)
    middle = downscale(hr, 2)
    primal = sum(F.l1_loss(o, t) for o, t in zip(outputs, [lr, middle, hr], strict=True))
    duals = editor.dual_networks
    dual = F.l1_loss(duals[0](outputs[1]), lr) + F.l1_loss(duals[1](outputs[2]), middle)
    assert losses.keys() == {"loss_primal", "loss_dual"}
    torch.testing.assert_close(losses["loss_primal"], primal)
    torch.testing.assert_close(losses["loss_dual"], 0.1 * dual)


@pytest.mark.parametrize(
    "generator",
    [
        EDSR,
        dict(type="mmsrnas.DLSRNet", upscale_factor=4),
        dict(type="mmsrnas.ElasticNet", genotype="ELASTIC_LARGE", upscale_factor=4),
    ],
    ids=["EDSR", "DLSR", "elastic"],
)
def test_any_generator_gains_the_closed_loop(generator):
    editor = build(generator, dual_loss=dict(type="mmsrnas.DualRegressionLoss", loss_weight=0.5))
    torch.manual_seed(1)
    hr = torch.rand(1, 3, 64, 64)
    lr = downscale(hr, 4)
    losses = editor(lr, DataSample.stack([DataSample(gt_img=hr[0])]), mode="loss")
    sr = editor.generator(lr)
    torch.testing.assert_close(losses["loss_primal"], F.l1_loss(sr, hr))
    cycle = editor.dual_networks[0](sr)
    torch.testing.assert_close(losses["loss_dual"], 0.5 * F.l1_loss(cycle, lr))
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in editor.parameters() if p.requires_grad)


def test_dual_networks_are_parameters_and_entries_of_the_checkpoint():
    editor = build(DRN, pyramid=True)
    names = {name for name, _ in editor.named_parameters() if name.startswith("dual_networks")}
    assert names == {
        f"dual_networks.{i}.{c}.weight" for i in (0, 1) for c in ("convs.0", "conv_last")
    }
    assert names <= editor.state_dict().keys()


@pytest.mark.parametrize("rule", ["composed", "lowest"])
def test_images_without_hr_count_in_the_loop_only(rule):
    loss = dict(type="mmsrnas.DualRegressionLoss", loss_weight=0.1, unpaired=rule)
    editor = build(DRN, pyramid=True, dual_loss=loss)
    lr, samples, hr = images(3, unpaired=(1,))
    losses = editor(lr, samples, mode="loss")
    low, middle, final = editor.generator(lr, pyramid=True)
    half = downscale(hr, 2)
    first, second = editor.dual_networks
    # Mean over the batch of what each sample contributes.
    primal, dual = 0, 0
    for i in (0, 2):
        terms = [F.l1_loss(a[i], b[i]) for a, b in ((low, lr), (middle, half), (final, hr))]
        primal += sum(terms) / 3
        dual += F.l1_loss(first(middle)[i], lr[i]) / 3 + F.l1_loss(second(final)[i], half[i]) / 3
    back = first(second(final)) if rule == "composed" else first(middle)
    dual += F.l1_loss(back[1], lr[1]) / 3
    torch.testing.assert_close(losses["loss_primal"], primal)
    torch.testing.assert_close(losses["loss_dual"], 0.1 * dual)


def test_batch_without_any_hr_still_reaches_every_parameter():
    editor = build(DRN, pyramid=True)
    lr, samples, _ = images(2, unpaired=(0, 1))
    losses = editor(lr, samples, mode="loss")
    assert losses["loss_primal"] == 0
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in editor.parameters() if p.requires_grad)


def test_distillation_compares_what_the_last_convolution_reads():
    teacher = DRN | dict(num_blocks=2, mid_channels=8)
    cfg = dict(type="mmsrnas.DistillationLoss", teacher=teacher, layer="tails.2", loss_weight=2.0)
    editor = build(DRN, pyramid=True, distillation=cfg)
    lr, samples, _ = images()
    seen = []
    for net in (editor.generator, editor.distillation.teacher):
        net.tails[2].register_forward_pre_hook(lambda m, args: seen.append(args[0].mean(1)))
    loss = editor(lr, samples, mode="loss")["loss_distillation"]
    # A loss on 0..255 divided by 255, as the other terms are.
    torch.testing.assert_close(loss, 2 * F.mse_loss(seen[0], seen[1]) / 255)
    loss.backward()
    assert all(p.grad is None for p in editor.distillation.teacher.parameters())
    assert not editor.train().distillation.teacher.training


def test_distillation_of_images():
    cfg = dict(type="mmsrnas.DistillationLoss", teacher=EDSR | dict(num_blocks=2))
    editor = build(EDSR, distillation=cfg)
    lr, samples, _ = images()
    loss = editor(lr, samples, mode="loss")["loss_distillation"]
    expected = F.l1_loss(editor.generator(lr), editor.distillation.teacher(lr))
    torch.testing.assert_close(loss, expected)


def test_levels_are_nearly_those_of_matlab():
    image = np.random.RandomState(0).randint(0, 256, (64, 48, 3), np.uint8)
    expected = torch.from_numpy(imresize(image, 1 / 2)).permute(2, 0, 1)
    ours = 255 * downscale(torch.from_numpy(image).permute(2, 0, 1)[None] / 255, 2)[0]
    difference = (ours - expected)[:, 4:-4, 4:-4].abs()  # borders are mirrored differently
    assert difference.max() < 1.5  # MATLAB rounds between rows and columns
    assert difference.mean() < 0.3


def test_scales_that_do_not_fit_are_refused():
    dual = dict(type="mmsrnas.DualNet", upscale_factor=2)
    with pytest.raises(ValueError, match=r"dual_network.upscale_factor=2 .*it is x4"):
        build(EDSR, dual_network=dual)
    dual = dict(type="mmsrnas.DualNet", upscale_factor=4)
    with pytest.raises(ValueError, match=r"upscale_factor=4 .*in a pyramid every dual network"):
        build(DRN, dual_network=dual, pyramid=True)
    cfg = dict(type="mmsrnas.DistillationLoss", teacher=EDSR | dict(upscale_factor=2))
    with pytest.raises(ValueError, match="teacher: super-resolves x2, the generator x4"):
        build(EDSR, distillation=cfg)
    cfg = dict(type="mmsrnas.DistillationLoss", teacher=EDSR, layer="tails.2")
    with pytest.raises(ValueError, match=r"the student EDSRNet has no module 'tails\.2'"):
        build(EDSR, distillation=cfg)
    with pytest.raises(ValueError, match="pyramid is for DRNNet"):
        build(dict(type="Conv2d", in_channels=3, out_channels=3, kernel_size=1), pyramid=True)
    with pytest.raises(ValueError, match="unpaired"):
        MODELS.build(dict(type="mmsrnas.DualRegressionLoss", unpaired="all"))
    editor = build(EDSR)
    lr, samples, _ = images(scale=2)
    with pytest.raises(ValueError, match="its upscale_factor is not that of the data"):
        editor(lr, samples, mode="loss")


def test_distributed_step_reduces_the_dual_networks_too(tmp_path):
    """A step of the wrapper that several processes use, in one process, is the ordinary step."""
    results = []
    for distributed in (False, True):
        editor = build(DRN, pyramid=True)
        _, samples, hr = images()
        lr = 255 * downscale(hr, 4)
        batch = dict(inputs=list(lr), data_samples=samples.split())
        for sample in batch["data_samples"]:
            sample.gt_img = 255 * sample.gt_img
        wrapper = OptimWrapper(torch.optim.Adam(editor.parameters(), lr=1e-3))
        model = editor
        if distributed:
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
            )
            model = MMDistributedDataParallel(editor, device_ids=None)
        try:
            log = model.train_step(batch, wrapper)
        finally:
            if distributed:
                torch.distributed.destroy_process_group()
        assert {"loss", "loss_primal", "loss_dual"} <= log.keys()
        results.append(editor.state_dict())
    start = build(DRN, pyramid=True).state_dict()
    single, wrapped = results
    for name in single:
        torch.testing.assert_close(wrapped[name], single[name], rtol=0, atol=1e-7)
        if name.startswith("dual_networks"):
            assert not torch.equal(wrapped[name], start[name])
