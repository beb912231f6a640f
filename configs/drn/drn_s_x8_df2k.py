# Trains DRN-S x8 with its dual networks, a million iterations: weeks on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/drn.py",
    "../_base_/datasets/div2k_x8.py",
    "../_base_/datasets/sr_test_x8.py",
    "../_base_/schedules/drn_train.py",
]

model = dict(generator=dict(upscale_factor=8, mid_channels=8), dual_network=dict(mid_channels=8))
train_dataloader = _base_.train_dataloader
# The official downloads have no bicubic LR images of scale 8; the converters make them.
train_dataloader.dataset.data_root = "data/DF2K"
train_dataloader.dataset.data_prefix = dict(
    img="DF2K_train_LR_bicubic/X{scale}", gt="DF2K_train_HR"
)
train_dataloader.dataset.patch_size = 384
val_evaluator = _base_.val_evaluator
val_evaluator.metrics += [dict(type="mmsrnas.LRConsistency", convert_to="Y", prefix="DIV2K")]
