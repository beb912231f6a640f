# DLSR's search: 1000 epochs of 985 iterations at batch 64.  The steps of the architecture are the
# ArchOptimizerHook's, this is the optimizer of the weights.
optim_wrapper = dict(
    constructor="mmsrnas.SearchOptimWrapperConstructor",
    type="OptimWrapper",
    # The released eps and decay are for a loss on 0..255, ours is on [0, 1].
    optimizer=dict(
        type="Adam", lr=5e-4, betas=(0.9, 0.999), eps=1e-8 / 255, weight_decay=1e-8 / 255
    ),
)
param_scheduler = dict(
    type="MultiStepLR",
    by_epoch=False,
    milestones=[985 * epoch for epoch in (200, 400, 600)],
    gamma=0.5,
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=985 * 1000, val_interval=5000)
