# DIV2K as downloaded: 800 training images; validation on the first ten of the validation images
# (0801-0810), never on a test set.
scale = 2

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="mmsrnas.PairedImageDataset",
        scale=scale,
        data_root="data/DIV2K",
        data_prefix=dict(img="DIV2K_train_LR_bicubic/X{scale}", gt="DIV2K_train_HR"),
        filename_tmpl=dict(img="{}x{scale}", gt="{}"),
        patch_size=128,
        pipeline=[
            dict(type="mmsrnas.LoadImageFromFile", key="img"),
            dict(type="mmsrnas.LoadImageFromFile", key="gt"),
            dict(type="ModCrop", key="gt"),
            dict(type="mmsrnas.RandomPatch"),
            dict(type="Flip", keys=["img", "gt"], flip_ratio=0.5, direction="horizontal"),
            dict(type="Flip", keys=["img", "gt"], flip_ratio=0.5, direction="vertical"),
            dict(type="RandomTransposeHW", keys=["img", "gt"], transpose_ratio=0.5),
            dict(type="PackInputs"),
        ],
    ),
)

val_pipeline = [
    dict(type="mmsrnas.LoadImageFromFile", key="img"),
    dict(type="mmsrnas.LoadImageFromFile", key="gt"),
    dict(type="ModCrop", key="gt"),
    dict(type="PackInputs"),
]
val_cfg = dict(type="MultiValLoop")
val_dataloader = dict(  # batch_size stays 1: the images differ in size
    num_workers=2,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmsrnas.PairedImageDataset",
        scale=scale,
        data_root="data/DIV2K",
        data_prefix=dict(img="DIV2K_valid_LR_bicubic/X{scale}", gt="DIV2K_valid_HR"),
        filename_tmpl=dict(img="{}x{scale}", gt="{}"),
        index_range=(0, 10),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(
    type="Evaluator",
    metrics=[
        dict(type="mmsrnas.PSNR", crop_border=scale, convert_to="Y", prefix="DIV2K"),
        dict(type="mmsrnas.SSIM", crop_border=scale, convert_to="Y", prefix="DIV2K"),
    ],
)
