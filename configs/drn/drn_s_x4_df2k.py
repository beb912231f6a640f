# Trains DRN-S x4 with its dual networks, a million iterations: weeks on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/drn.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/datasets/sr_test_x4.py",
    "../_base_/schedules/drn_train.py",
]

train_dataloader = _base_.train_dataloader
train_dataloader.dataset.data_root = "data/DF2K"
train_dataloader.dataset.data_prefix = dict(
    img="DF2K_train_LR_bicubic/X{scale}", gt="DF2K_train_HR"
)
train_dataloader.dataset.patch_size = 384
val_evaluator = _base_.val_evaluator
val_evaluator.metrics += [dict(type="mmsrnas.LRConsistency", convert_to="Y", prefix="DIV2K")]
