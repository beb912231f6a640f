# A HiNAS network for gray denoising and its loss, (MSE - 0.6 log10 SSIM) / 2.
model = dict(
    type="BaseEditModel",
    generator=dict(
        type="mmsrnas.HiNASNet",
        genotype="HINAS_DENOISE",
        task="denoise",
        upscale_factor=1,
        in_channels=1,
        mid_channels=20,
    ),
    pixel_loss=dict(
        type="mmsrnas.SumLoss",
        losses=[
            dict(type="MSELoss", loss_weight=0.5, reduction="mean"),
            dict(type="mmsrnas.SSIMLoss", loss_weight=0.3),
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0], std=[255.0]),
)
