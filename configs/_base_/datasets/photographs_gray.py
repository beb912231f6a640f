# The photographs of tools/demo_denoise.py in gray, with noise of sigma 50: four for the weights,
# two for the architecture, and three, held out, for the test.
_base_ = ["bsd500_gray.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.num_workers = 0
train_dataloader.dataset.update(
    data_root="data/demo_denoise", data_prefix=dict(img="weights", gt="weights"), index_range=None
)
train_dataloader.dataset.patch_size = 32

arch_dataloader = dict(
    train_dataloader,
    dataset=dict(train_dataloader.dataset, data_prefix=dict(img="architecture", gt="architecture")),
)

val_dataloader = None
val_evaluator = None
val_cfg = None

test_dataloader = [dict(_base_.test_dataloader[0], num_workers=0)]
test_dataloader[0]["dataset"].update(
    data_root="data/demo_denoise", data_prefix=dict(img="held_out", gt="held_out")
)
test_evaluator = [
    dict(
        type="Evaluator",
        metrics=[
            dict(type="mmsrnas.PSNR", prefix="held-out"),
            dict(type="mmsrnas.SSIM", prefix="held-out"),
        ],
    )
]
