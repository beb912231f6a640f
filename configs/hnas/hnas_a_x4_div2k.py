# Trains HNAS-A at scale 4, 300,000 iterations: days on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hnas.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/datasets/sr_test_x4.py",
    "../_base_/schedules/hnas_train.py",
]

model = dict(generator=dict(upscale_factor=4))

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.dataset.patch_size = 192
