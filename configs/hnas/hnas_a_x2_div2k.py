# Trains HNAS-A at scale 2, 300,000 iterations: days on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hnas.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/datasets/sr_test_x2.py",
    "../_base_/schedules/hnas_train.py",
]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.dataset.patch_size = 96
