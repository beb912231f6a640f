# Searches half of the Multi-Adds of the small DRN: a minute on two cores (estimate).
_base_ = ["drc_train_small_x2_photographs.py"]

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.ChannelNumberSearch",
        generator=_base_.model.generator,
        budget_share=0.5,
    ),
    pretrained="work_dirs/drc_train_small_x2_photographs/iter_400.pth",
)
optim_wrapper = dict(constructor="mmsrnas.SearchOptimWrapperConstructor", optimizer=dict(lr=2e-4))
param_scheduler = dict(T_max=150)
train_cfg = dict(max_iters=150)
default_hooks = dict(
    arch_optimizer=dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(type="Adam", lr=2e-2, eps=1e-8 / 255),
        dataloader=dict(_base_.arch_dataloader, batch_size=8),
        mode="bilevel",
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=0.05),
        entropy_weight=0.05,
    ),
    genotype=dict(type="mmsrnas.GenotypeHook"),
    checkpoint=dict(interval=150),
)
