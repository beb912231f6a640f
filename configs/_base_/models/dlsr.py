# The published DLSR network and its loss, L1 + 0.2 HFEN.
model = dict(
    type="BaseEditModel",
    generator=dict(type="mmsrnas.DLSRNet", genotype="DLSR", upscale_factor=2),
    pixel_loss=dict(
        type="mmsrnas.SumLoss",
        losses=[
            dict(type="L1Loss", loss_weight=1.0, reduction="mean"),
            dict(type="mmsrnas.HFENLoss", loss_weight=0.2),  # the weight for images in 0..255
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0] * 3),
)
