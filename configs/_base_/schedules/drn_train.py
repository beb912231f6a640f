# DRN's training: a million iterations, cosine from 1e-4 to 1e-7.  One optimizer for the primal and
# the dual networks does what one for each of them does: Adam is separate for every weight.
optim_wrapper = dict(
    constructor="DefaultOptimWrapperConstructor",
    type="OptimWrapper",
    # eps is 1e-8 in the released code, for a loss on 0..255; ours is on [0, 1].
    optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.999), eps=1e-8 / 255),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=1000 * 1000, eta_min=1e-7)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1000 * 1000, val_interval=5000)
