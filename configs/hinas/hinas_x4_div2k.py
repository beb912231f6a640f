# Trains super-resolution at scale 4 on DIV2K, 600,000 iterations: days on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_sr.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/datasets/sr_test_x4.py",
    "../_base_/schedules/hinas_train.py",
]

model = dict(generator=dict(upscale_factor=4))
train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.dataset.patch_size = 64 * 4
