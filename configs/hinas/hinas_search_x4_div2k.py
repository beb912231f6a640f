_base_ = [
    "../_base_/models/hinas_sr.py",
    "../_base_/datasets/div2k_search_x4.py",
    "../_base_/schedules/hinas_search.py",
]

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HiNASSupernet",
        task="sr",
        upscale_factor=4,
        in_channels=3,
        num_layers=2,
        num_nodes=3,
        base_channels=8,
    )
)
param_scheduler = dict(iters_per_epoch=16)
train_cfg = dict(max_iters=16 * 100, val_interval=16 * 5)
default_hooks = dict(
    arch_optimizer=dict(dataloader=_base_.arch_dataloader, warmup_iters=16 * 20),
    early_stop=dict(interval=16, begin=16 * 60),
    logger=dict(interval=16),
    checkpoint=dict(interval=16 * 5),
)
log_processor = dict(window_size=16)
