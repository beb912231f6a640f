# A HiNAS network for super-resolution and its loss, (L1 - 0.6 log10 SSIM) / 2.
model = dict(
    type="BaseEditModel",
    generator=dict(
        type="mmsrnas.HiNASNet",
        genotype="HINAS_SR",
        task="sr",
        upscale_factor=2,
        in_channels=3,
        mid_channels=16,
    ),
    pixel_loss=dict(
        type="mmsrnas.SumLoss",
        losses=[
            dict(type="L1Loss", loss_weight=0.5, reduction="mean"),
            dict(type="mmsrnas.SSIMLoss", loss_weight=0.3),
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0] * 3),
)
