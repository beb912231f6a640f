# DRC's search: 100 epochs of 25 iterations at batch 16.  A config adds the dataloader of the
# architecture, default_hooks.arch_optimizer.dataloader.
_base_ = "../default_runtime.py"

optim_wrapper = dict(
    constructor="mmsrnas.SearchOptimWrapperConstructor",
    type="OptimWrapper",
    # The released eps and clip are for a loss on 0..255, ours is on [0, 1].
    optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.999), eps=1e-8 / 255),
    clip_grad=dict(max_norm=5 / 255),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=2500, eta_min=1e-7)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=2500, val_interval=250)

default_hooks = dict(
    arch_optimizer=dict(
        type="mmsrnas.ArchOptimizerHook",
        # The released eps and decay are for a loss on 0..255, ours is on [0, 1]; the released lr,
        # 3e-4, moves alpha by 0.4.
        optimizer=dict(
            type="Adam", lr=3e-3, betas=(0.9, 0.999), eps=1e-8 / 255, weight_decay=1e-3 / 255
        ),
        mode="bilevel",
        # A much larger weight hides the loss from Adam, whose steps are relative to the largest
        # gradients.
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=0.05),
        entropy_weight=0.05,  # or the search ends undecided
    ),
    genotype=dict(type="mmsrnas.GenotypeHook"),
)
