# Searches channel numbers of DRN-S as released: half a day on a GPU (estimate).
# Six candidates up to 70 % of the channels and no budget, alpha's gradient at the virtual weights,
# and of all epochs the genotype whose supernet is best on Set5 (RGB, border of 10).  Other
# releases: --cfg-options model.generator.budget_share=0.5
_base_ = ["drc_search_x4_div2k.py", "../_base_/datasets/sr_test_x4.py"]

model = dict(
    generator=dict(generator=dict(train_mean_shift=True), budget_share=0.7, variant="official")
)

default_hooks = dict(
    arch_optimizer=dict(
        optimizer=dict(lr=3e-4),
        param_scheduler=dict(type="CosineAnnealingLR", by_epoch=False, T_max=2500, eta_min=1e-7),
        # Plain gradient descent, made for a loss on 0..255; ours is on [0, 1].
        virtual_step=dict(lr_factor=255.0, weight_decay=3e-4 / 255, second_order=False),
        complexity_loss=None,
        entropy_weight=0,
    ),
    genotype=dict(best={"Set5/PSNR": 1.0}),
)

train_cfg = dict(val_interval=25)
val_dataloader = dict(_delete_=True, **_base_.test_dataloader[0])
val_evaluator = dict(metrics=[dict(type="mmsrnas.PSNR", crop_border=10, prefix="Set5")])
