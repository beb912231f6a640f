# Uniform paths, for an hour of a GPU or a night of a CPU core: Adam, a rise and a cosine; networks
# are judged afterwards.
_base_ = "../default_runtime.py"

optim_wrapper = dict(
    type="OptimWrapper",
    # eps as for a loss on 0..255; ours is on [0, 1].
    optimizer=dict(type="Adam", lr=2e-3, betas=(0.9, 0.999), eps=1e-8 / 255),
    # Gradients have norms below 0.05 but in bursts, which throw shared weights back.
    clip_grad=dict(max_norm=0.02),
    # What makes HiNAS' image; DLSR and HNAS divide what they make.
    paramwise_cfg=dict(custom_keys={"generator.pool.last/": dict(lr_mult=1 / 16)}),
)
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.01, end=1000),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=1000, end=20000, eta_min=1e-6),
]
# Shared weights learn late from the default initialisation.
custom_hooks = [dict(type="mmsrnas.UnitVarianceHook")]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=20000, val_interval=5000)
default_hooks = dict(genotype=dict(type="mmsrnas.GenotypeHook"))
# A step trains some of the operations; DDP must not wait for the others.
find_unused_parameters = True
