# BSD500 in gray with noise of sigma 50, as in HiNAS: the training and validation images of BSDS500
# (300) train, but for the last six of them, which validate; its 200 test images test.  Training
# draws new noise behind the augmentation; validation and test give each image one noise field that
# only depends on the seed and the file name, and denoise whole images.
train_dataloader = dict(
    batch_size=24,
    num_workers=4,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="mmsrnas.PairedImageDataset",
        scale=1,
        data_root="data/BSD500",
        data_prefix=dict(img="trainval", gt="trainval"),
        index_range=(0, 294),
        patch_size=64,
        sigma=50,
        pipeline=[
            dict(type="mmsrnas.LoadImageFromFile", key="gt", color_type="grayscale"),
            dict(
                type="RandomResize",
                keys=["gt"],
                params=dict(
                    resize_opt=["bicubic"],
                    resize_prob=[1.0],
                    resize_mode_prob=[0.25, 0.25, 0.5],  # up, down, keep
                    resize_scale=[0.8, 1.2],
                ),
            ),
            dict(type="mmsrnas.RandomPatch"),
            dict(type="Flip", keys=["gt"], flip_ratio=0.5, direction="horizontal"),
            dict(type="mmsrnas.RandomRot90", keys=["gt"]),
            dict(type="mmsrnas.AddGaussianNoise"),
            dict(type="PackInputs"),
        ],
    ),
)

# For images that are noisy already, which mmagic's inferencer denoises.
inference_pipeline = [
    dict(type="mmsrnas.LoadImageFromFile", key="img", color_type="grayscale"),
    dict(type="PackInputs"),
]

val_pipeline = [
    dict(type="mmsrnas.LoadImageFromFile", key="gt", color_type="grayscale"),
    dict(type="mmsrnas.AddGaussianNoise", seed=0),
    dict(type="PackInputs"),
]
val_cfg = dict(type="MultiValLoop")
val_dataloader = dict(  # batch_size stays 1: some images are portrait, some landscape
    num_workers=2,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmsrnas.PairedImageDataset",
        scale=1,
        data_root="data/BSD500",
        data_prefix=dict(img="trainval", gt="trainval"),
        index_range=(294, None),
        sigma=50,
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(
    type="Evaluator",
    metrics=[
        dict(type="mmsrnas.PSNR", prefix="BSD500"),
        dict(type="mmsrnas.SSIM", prefix="BSD500"),
    ],
)

test_cfg = dict(type="MultiTestLoop")
test_dataloader = [
    dict(
        num_workers=2,
        persistent_workers=False,
        drop_last=False,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(
            type="mmsrnas.PairedImageDataset",
            scale=1,
            data_root="data/BSD500",
            data_prefix=dict(img="test", gt="test"),
            sigma=50,
            pipeline=val_pipeline,
            test_mode=True,
        ),
    )
]
test_evaluator = [
    dict(
        type="Evaluator",
        metrics=[
            dict(type="mmsrnas.PSNR", prefix="BSD500"),
            dict(type="mmsrnas.PSNR", prefix="BSD500_float", quantize=False),
            dict(type="mmsrnas.SSIM", prefix="BSD500"),
        ],
    )
]
