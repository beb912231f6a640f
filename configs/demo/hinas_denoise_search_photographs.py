# The search of tools/demo_denoise.py: two layers of narrow cells, and everything faster than in the
# paper.  The weights train alone for 20 iterations.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/photographs_gray.py",
    "../_base_/schedules/hinas_search.py",
]

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HiNASSupernet",
        task="denoise",
        upscale_factor=1,
        in_channels=1,
        num_layers=2,
        num_nodes=2,
        base_channels=4,
    ),
)
train_dataloader = dict(batch_size=4)

custom_hooks = [
    dict(
        _base_.custom_hooks[0],
        optimizer=dict(type="Adam", lr=2e-2, betas=(0.5, 0.999), eps=1e-8),
        dataloader=dict(_base_.arch_dataloader, batch_size=4),
        warmup_iters=20,
    ),
    dict(type="mmsrnas.GenotypeHook"),
]
param_scheduler = dict(
    _delete_=True, type="CosineAnnealingLR", by_epoch=False, T_max=100, eta_min=1e-3
)
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=100)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=100, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=10)
