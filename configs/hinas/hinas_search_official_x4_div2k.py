# Searches super-resolution as released: 3.5 hours on a GTX 1080Ti, by the authors.
# The genotype is that of the best epoch from the 61st on, by SSIM + PSNR / 100 of the supernet on
# the last 40 training images.  What still differs stands in docs/hinas.md.
_base_ = "hinas_search_x4_div2k.py"

model = dict(generator=dict(variant="official"))

default_hooks = dict(
    arch_optimizer=dict(
        optimizer=dict(lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-3), entropy_weight=0
    ),
    genotype=dict(best={"DIV2K/SSIM": 1.0, "DIV2K/PSNR": 0.01}, best_from=16 * 61),
    early_stop=dict(begin=16 * 100),  # none
)

train_cfg = dict(val_interval=16)
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img="DIV2K_train_LR_bicubic/X{scale}", gt="DIV2K_train_HR"),
        index_range=(760, None),
    )
)
val_evaluator = dict(
    metrics=[
        dict(type="mmsrnas.PSNR", quantize=False, prefix="DIV2K"),
        dict(type="mmsrnas.SSIM", quantize=False, prefix="DIV2K"),
    ]
)
