# HNAS's retraining: 300 epochs of 1000 iterations at batch 16.
optim_wrapper = dict(
    constructor="DefaultOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="Adam", lr=1e-3, betas=(0.9, 0.999)),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=300 * 1000, eta_min=1e-5)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=300 * 1000, val_interval=5000)
