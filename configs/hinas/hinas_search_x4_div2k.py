# Searches super-resolution at scale 4 on DIV2K: 3.5 hours on a GTX 1080Ti, by the authors.
# The result serves all scales; 1,600 iterations.  Of the 800 images 380 train the weights and 380
# the architecture.
_base_ = [
    "../_base_/models/hinas_sr.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/schedules/hinas_search.py",
]

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HiNASSupernet",
        task="sr",
        upscale_factor=4,
        in_channels=3,
        num_cells=2,
        num_nodes=3,
        mid_channels=8,
    )
)

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 24
train_dataloader.dataset.index_range = (0, 380)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(380, 760))
)
param_scheduler = dict(iters_per_epoch=16)
train_cfg = dict(max_iters=16 * 100, val_interval=16 * 5)
default_hooks = dict(
    arch_optimizer=dict(dataloader=arch_dataloader, warmup_iters=16 * 20),
    early_stop=dict(interval=16, begin=16 * 60),
    logger=dict(interval=16),
    checkpoint=dict(interval=16 * 5),
)
log_processor = dict(window_size=16)
