# DRN's training: a million iterations, cosine from 1e-4 to 1e-7.  One optimizer for the primal and
# the dual networks does what one for each of them does: Adam is separate for every weight.
optim_wrapper = dict(
    constructor="DefaultOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.999)),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=1000 * 1000, eta_min=1e-7)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1000 * 1000, val_interval=5000)
