"""The first batch of a new training scales the initial weights, once."""

import tiny_search
import torch

from mmsrnas.models import init_unit_variance

EDSR = dict(
    type="EDSRNet", in_channels=3, out_channels=3, mid_channels=8, num_blocks=1, upscale_factor=2
)
HOOK = dict(type="mmsrnas.UnitVarianceHook", skip=["upsample"], zero_last=False)


def runner(images, run, hook=HOOK, generator=EDSR, lr=0.0, **kwargs):
    model = dict(
        type="BaseEditModel",
        generator=generator,
        pixel_loss=dict(type="L1Loss"),
        data_preprocessor=dict(type="mmsrnas.TinyPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
    )
    hooks = [dict(type="mmsrnas.ExactResumeHook"), *([hook] if hook else [])]
    optim_wrapper = dict(optimizer=dict(type="SGD", lr=lr))
    return tiny_search.runner(
        images, run=run, model=model, custom_hooks=hooks, optim_wrapper=optim_wrapper, **kwargs
    )


def weights(runner):
    return {name: param.detach().clone() for name, param in runner.model.named_parameters()}


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_scales_by_the_first_batch_which_stays_the_first(images):
    started = runner(images, "started", iters=2)
    before = weights(started)
    inputs = []
    started.model.generator.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    started.train()
    plain = runner(images, "plain", hook=None, iters=2)
    seen = []
    plain.model.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    plain.train()
    assert len(inputs) == 3 and torch.equal(inputs[0], inputs[1])
    assert all(map(torch.equal, inputs[1:], seen))
    assert equal(weights(plain), before)
    init_unit_variance(plain.model.generator, inputs[0], ["upsample"], zero_last=False)
    assert equal(weights(plain), weights(started))
    assert not equal(before, weights(started))


def test_leaves_loaded_weights_alone(images):
    source = runner(images, "source", iters=2)
    source.train()
    trained = weights(source)
    path = str(images / "source/iter_2.pth")
    zeroing = dict(HOOK, zero_last=True)
    loaded = runner(images, "loaded", hook=zeroing, iters=1, load_from=path)
    resumed = runner(images, "source", hook=zeroing, iters=3, resume=True)
    initialised = runner(images, "initialised", hook=zeroing, iters=1)
    pretrained = dict(type="Pretrained", checkpoint=path, prefix="generator.")
    initialised.model.generator.init_cfg = pretrained
    for run in (loaded, resumed, initialised):
        run.train()
        assert equal(trained, weights(run))


def test_starts_every_operation_of_a_supernet(images):
    generator = dict(
        type="mmsrnas.ElasticSupernet",
        num_cells=(1, 2),
        mid_channels=(4, 6),
        ops=("conv_3x3", "conv_5x5"),
        cells_per_stage=1,
    )
    run = runner(images, "supernet", hook=dict(HOOK, skip=[]), generator=generator, iters=1)
    before = weights(run)
    run.train()
    kernels = [name for name in before if name.endswith("weight") and "anchor" not in name]
    changed = [name for name in kernels if not torch.equal(before[name], weights(run)[name])]
    assert len(changed) == len(kernels) - 1 == 5  # the head starts at zero
