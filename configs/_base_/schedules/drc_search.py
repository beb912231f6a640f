# DRC's search: 100 epochs of 25 iterations at batch 16.
optim_wrapper = dict(
    constructor="mmsrnas.SearchOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=5 / 255),  # 5 for a loss on 0..255, ours is on [0, 1]
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=2500, eta_min=1e-7)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=2500, val_interval=250)
