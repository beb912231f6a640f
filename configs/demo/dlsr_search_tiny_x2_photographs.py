# Searches a DLSR on the photographs of tools/demo.py: minutes on a CPU core (estimate).
# Everything is faster than in the paper: the weights train alone for 40 iterations.  In so few
# steps only a high weight of the cost decides anything: at 1/255 the search takes dense
# convolutions, at 0.03 nearly the cheapest operations.
_base_ = [
    "../_base_/models/dlsr_search.py",
    "../_base_/datasets/photographs_x2.py",
    "../_base_/schedules/dlsr_search.py",
]

# The interpolation is added to the output; what features of unit variance make is divided by 16.
model = dict(generator=dict(mid_channels=18, global_skip=True, img_range=16.0))
custom_hooks = [dict(type="mmsrnas.UnitVarianceHook")]

train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=1))
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, end=20),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=20, end=140, eta_min=1e-5),
]
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=140)
default_hooks = dict(
    arch_optimizer=dict(
        optimizer=dict(lr=2e-2),
        dataloader=dict(_base_.arch_dataloader, batch_size=8),
        warmup_iters=40,
        complexity_loss=dict(loss_weight=0.01),
    ),
    logger=dict(interval=10),
    checkpoint=dict(interval=140, save_best=None, max_keep_ckpts=2),
)
log_processor = dict(window_size=10)
