# HiNAS's search: 100 epochs, of 25 iterations for denoising and 16 for super-resolution, of which
# the first 20 train the weights only.  Iterations are those of denoising.  A config adds the
# dataloader of the architecture, default_hooks.arch_optimizer.dataloader.  The released code decays
# alpha and beta by 1e-3 and takes Adam's betas 0.9 and 0.999; the decay outweighs their small
# gradients, so there is none here; the released losses are on [0, 1] as ours are, so eps is the
# released one.  The released rate of alpha and beta, 1e-3, can move them by 2 in all, which decides
# little.
_base_ = "../default_runtime.py"

optim_wrapper = dict(
    constructor="mmsrnas.SearchOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.025, momentum=0.9, weight_decay=3e-4),
)
param_scheduler = dict(
    type="mmsrnas.CosinePolyLR", by_epoch=False, iters_per_epoch=25, num_epochs=100, eta_min=1e-3
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=25 * 100, val_interval=25 * 5)

default_hooks = dict(
    arch_optimizer=dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(type="Adam", lr=3e-3, betas=(0.5, 0.999), eps=1e-8, weight_decay=0.0),
        mode="bilevel",
        warmup_iters=25 * 20,
        entropy_weight=0.05,  # or the search ends undecided
    ),
    genotype=dict(type="mmsrnas.GenotypeHook"),
    early_stop=dict(type="mmsrnas.SearchEarlyStopHook", interval=25, patience=20, begin=25 * 60),
    discrete_val=dict(type="mmsrnas.DiscreteValHook"),
)
