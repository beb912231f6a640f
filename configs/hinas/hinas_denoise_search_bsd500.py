# Searches a gray denoiser on BSD500: about an hour on a GTX 1080Ti, by the authors.
# It is for sigma 30, 50 and 70; 2,500 iterations.
_base_ = [
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
        num_cells=3,
        num_nodes=4,
        mid_channels=10,
    ),
    pixel_loss=dict(
        losses=[
            dict(type="MSELoss", loss_weight=0.5, reduction="mean"),
            dict(type="mmsrnas.SSIMLoss", loss_weight=0.25),
        ],
    ),
)
default_hooks = dict(
    arch_optimizer=dict(dataloader=_base_.arch_dataloader),
    logger=dict(interval=25),
    checkpoint=dict(interval=25 * 5),
)
log_processor = dict(window_size=25)
