# Selects channels of DRN-S, by tools/prune.py, as released: days on a GPU (estimate).
# The data are as released: the first 160 images of DIV2K, ten batches of 16 HR patches of 192.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/drn.py",
    "../_base_/datasets/div2k_x4.py",
]

train_dataloader = dict(batch_size=16, dataset=dict(patch_size=192, index_range=(0, 160)))
