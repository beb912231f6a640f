# Adam with cosine, for single networks and for the supernet.
_base_ = "../default_runtime.py"

optim_wrapper = dict(
    type="OptimWrapper",
    # eps as for a loss on 0..255; ours is on [0, 1].
    optimizer=dict(type="Adam", lr=5e-4, betas=(0.9, 0.999), eps=1e-8 / 255),
    clip_grad=dict(max_norm=1),
    # A step of Adam on what makes the image would move it by more than the detail that it lacks.
    paramwise_cfg=dict(
        custom_keys={
            "generator.head.": dict(lr_mult=1 / 16),
            "generator.anchor.": dict(lr_mult=1 / 16),
        }
    ),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=300000, eta_min=1e-6)
# Plain chains learn late from the default initialisation.
custom_hooks = [dict(type="mmsrnas.UnitVarianceHook")]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=300000, val_interval=5000)
