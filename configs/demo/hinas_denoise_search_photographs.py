# Searches a denoiser by gradient, on the photographs of tools/demo_denoise.py: minutes (estimate).
# Two layers of narrow cells, and everything faster than in the paper: the weights train alone for
# 20 iterations.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/photographs_gray.py",
]

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HiNASSupernet",
        task="denoise",
        upscale_factor=1,
        in_channels=1,
        num_cells=2,
        num_nodes=2,
        mid_channels=4,
    ),
)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(
    constructor="mmsrnas.SearchOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.025, momentum=0.9, weight_decay=3e-4),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=100, eta_min=1e-3)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=100)
default_hooks = dict(
    arch_optimizer=dict(
        type="mmsrnas.ArchOptimizerHook",
        mode="bilevel",
        optimizer=dict(type="Adam", lr=6e-2, betas=(0.5, 0.999), eps=1e-8),
        dataloader=dict(_base_.arch_dataloader, batch_size=4),
        warmup_iters=20,
        entropy_weight=0.05,
    ),
    genotype=dict(type="mmsrnas.GenotypeHook"),
    logger=dict(interval=10),
    checkpoint=dict(interval=100, save_best=None, max_keep_ckpts=2),
)
log_processor = dict(window_size=10)
