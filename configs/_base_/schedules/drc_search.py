# DRC's search: 100 epochs of 25 iterations at batch 16.
optim_wrapper = dict(
    constructor="mmsrnas.SearchOptimWrapperConstructor",
    type="OptimWrapper",
    # The released eps and clip are for a loss on 0..255, ours is on [0, 1].
    optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.999), eps=1e-8 / 255),
    clip_grad=dict(max_norm=5 / 255),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=2500, eta_min=1e-7)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=2500, val_interval=250)
