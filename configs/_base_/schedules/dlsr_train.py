# DLSR's retraining: 1000 epochs of 1941 iterations at batch 32.
optim_wrapper = dict(
    constructor="DefaultOptimWrapperConstructor",
    type="OptimWrapper",
    # The released eps, decay and clip are for a loss on 0..255, ours is on [0, 1].
    optimizer=dict(
        type="Adam", lr=3e-4, betas=(0.9, 0.999), eps=1e-8 / 255, weight_decay=1e-8 / 255
    ),
    clip_grad=dict(max_norm=50 / 255),
)
param_scheduler = dict(
    type="MultiStepLR",
    by_epoch=False,
    milestones=[1941 * epoch for epoch in (200, 400, 600, 800)],
    gamma=0.5,
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1941 * 1000, val_interval=5000)
