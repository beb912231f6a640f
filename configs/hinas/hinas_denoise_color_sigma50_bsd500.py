# Trains a colour denoiser for sigma 50, 600,000 iterations: days on a GPU (estimate).
# The paper does not have it.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/bsd500_color.py",
    "../_base_/schedules/hinas_train.py",
]

model = dict(
    generator=dict(in_channels=3), data_preprocessor=dict(mean=[0.0, 0.0, 0.0], std=[255.0] * 3)
)
