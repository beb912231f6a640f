# Adapts a trained DRN-S to LR images of another origin: days on a GPU (estimate).
# They have no HR images: three of ten samples are such images, and count in the closed loop only.
# 100,000 iterations.
_base_ = "drn_s_x4_df2k.py"

model = dict(pretrained="checkpoints/drn_s_x4.pth")

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="mmsrnas.MixedImageDataset",
        scale=4,
        unpaired_share=0.3,
        datasets=[
            _base_.train_dataloader.dataset,
            dict(
                type="BasicImageDataset",
                data_root="data/unpaired",
                data_prefix=dict(img="LR"),
                pipeline=[
                    dict(type="mmsrnas.LoadImageFromFile", key="img"),
                    dict(type="Crop", keys=["img"], crop_size=(96, 96), random_crop=True),
                    dict(type="PackInputs"),
                ],
            ),
        ],
    )
)
train_cfg = dict(max_iters=100 * 1000)
param_scheduler = dict(T_max=100 * 1000)
