# Searches a gray denoiser as released: about an hour on a GTX 1080Ti, by the authors.
# The genotype is that of the best epoch from the 61st on, by SSIM + PSNR / 100 of the supernet.
# What still differs stands in docs/hinas.md.  The seeds of the authors: --cfg-options
# randomness.seed=10, and 20.
_base_ = "hinas_denoise_search_bsd500.py"

model = dict(generator=dict(variant="official"))

default_hooks = dict(
    arch_optimizer=dict(
        optimizer=dict(lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-3), entropy_weight=0
    ),
    genotype=dict(best={"BSD500/SSIM": 1.0, "BSD500/PSNR": 0.01}, best_from=25 * 61),
    early_stop=dict(begin=25 * 100),  # none
)

train_cfg = dict(val_interval=25)
val_dataloader = dict(dataset=dict(sigma=[30, 50, 70]))
val_evaluator = dict(
    metrics=[
        dict(type="mmsrnas.PSNR", quantize=False, prefix="BSD500"),
        dict(type="mmsrnas.SSIM", quantize=False, prefix="BSD500"),
    ]
)
