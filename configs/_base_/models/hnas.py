# A published HNAS network and its loss, L1.  Width and skip are those of the genotype.
model = dict(
    type="BaseEditModel",
    generator=dict(type="mmsrnas.HNASNet", genotype="HNAS_A", upscale_factor=2),
    pixel_loss=dict(type="L1Loss", loss_weight=1.0, reduction="mean"),
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0] * 3),
)
