# A chain of convolutions, trained with linear branches and L1.
model = dict(
    type="BaseEditModel",
    generator=dict(type="mmsrnas.ElasticNet", genotype="ELASTIC_LARGE", reparameterized=True),
    pixel_loss=dict(type="L1Loss", loss_weight=1.0, reduction="mean"),
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0] * 3),
)
