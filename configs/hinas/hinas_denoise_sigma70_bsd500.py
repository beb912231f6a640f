# Trains a gray denoiser for sigma 70, 600,000 iterations: days on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/bsd500_gray_sigma70.py",
    "../_base_/schedules/hinas_train.py",
]
