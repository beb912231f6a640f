_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/bsd500_gray_search.py",
    "../_base_/schedules/hinas_search.py",
]

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HiNASSupernet",
        task="denoise",
        upscale_factor=1,
        in_channels=1,
        num_layers=3,
        num_nodes=4,
        base_channels=10,
    ),
    pixel_loss=dict(
        losses=[
            dict(type="MSELoss", loss_weight=0.5, reduction="mean"),
            dict(type="mmsrnas.SSIMLoss", loss_weight=0.25),
        ],
    ),
)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=25 * 5))
log_processor = dict(window_size=25)

custom_hooks = _base_.custom_hooks
custom_hooks[0].dataloader = _base_.arch_dataloader
