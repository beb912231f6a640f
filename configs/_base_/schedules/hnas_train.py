# HNAS's retraining: 300 epochs of 1000 iterations at batch 16.
optim_wrapper = dict(
    constructor="DefaultOptimWrapperConstructor",
    type="OptimWrapper",
    # eps is 1e-8 in the released code, for a loss on 0..255; ours is on [0, 1].
    optimizer=dict(type="Adam", lr=1e-3, betas=(0.9, 0.999), eps=1e-8 / 255),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=300 * 1000, eta_min=1e-5)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=300 * 1000, val_interval=5000)
