# DRN-S at scale 4 in a closed loop with a dual network for each factor of two.
model = dict(
    type="mmsrnas.DualRegressionEditor",
    generator=dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=30, mid_channels=16),
    pixel_loss=dict(type="L1Loss", loss_weight=1.0, reduction="mean"),
    dual_network=dict(type="mmsrnas.DualNet", mid_channels=16),
    dual_loss=dict(type="mmsrnas.DualRegressionLoss", loss_weight=0.1),
    pyramid=True,
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0] * 3),
)
