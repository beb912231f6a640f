# Trains a colour denoiser for sigma 50, which the paper does not have; days on a GPU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/bsd500_color.py",
    "../_base_/schedules/hinas_train.py",
]

model = dict(
    generator=dict(in_channels=3), data_preprocessor=dict(mean=[0.0, 0.0, 0.0], std=[255.0] * 3)
)
