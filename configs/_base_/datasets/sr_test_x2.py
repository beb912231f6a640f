# The five benchmark sets with the papers' protocol: HR cropped to a multiple of the scale, bicubic
# LR, PSNR and SSIM on Y of the prediction rounded to 8 bits, border of `scale` pixels left out.
# `tools/dataset_converters/prepare_benchmarks.py` writes this layout.
skip_missing_test_sets = False  # True: test the sets that exist, name the others once

test_pipeline = [
    dict(type="mmsrnas.LoadImageFromFile", key="img"),
    dict(type="mmsrnas.LoadImageFromFile", key="gt"),
    dict(type="ModCrop", key="gt"),
    dict(type="PackInputs"),
]

test_cfg = dict(type="MultiTestLoop")
test_dataloader = [
    dict(
        num_workers=2,
        persistent_workers=False,
        drop_last=False,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(
            type="mmsrnas.PairedImageDataset",
            scale=2,
            data_root=f"data/{test_set}",
            data_prefix=dict(img="LR_bicubic/X{scale}", gt="HR"),
            filename_tmpl=dict(img="{}x{scale}", gt="{}"),
            pipeline=test_pipeline,
            test_mode=True,
        ),
    )
    for test_set in ["Set5", "Set14", "B100", "Urban100", "Manga109"]
]
test_evaluator = [
    dict(
        type="Evaluator",
        metrics=[
            dict(type="mmsrnas.PSNR", crop_border=2, convert_to="Y", prefix=test_set),
            dict(type="mmsrnas.SSIM", crop_border=2, convert_to="Y", prefix=test_set),
        ],
    )
    for test_set in ["Set5", "Set14", "B100", "Urban100", "Manga109"]
]
