# DLSR's search: 1000 epochs of 985 iterations at batch 64.  Both datasets judge the architecture
# (mixed level), after a warm-up of the weights of 21 epochs.  A config adds the dataloader of the
# architecture, default_hooks.arch_optimizer.dataloader.
_base_ = "../default_runtime.py"

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

default_hooks = dict(
    arch_optimizer=dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(
            type="Adam", lr=3e-4, betas=(0.5, 0.999), eps=1e-8 / 255, weight_decay=1e-8 / 255
        ),
        mode="mixed",
        warmup_iters=21 * 985,
        # 1 for a loss on 0..255, ours is on [0, 1].
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=1 / 255),
        entropy_weight=0.05,  # or the search ends undecided
    ),
    genotype=dict(type="mmsrnas.GenotypeHook"),
)
