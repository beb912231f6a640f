# Searches DLSR at scale 2 on DF2K, nearly a million iterations: days on a GPU (estimate).
# 3000 of the 3450 images train the weights, the other 450 the architecture.
_base_ = [
    "../_base_/models/dlsr_search.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/schedules/dlsr_search.py",
]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 64
train_dataloader.dataset.data_root = "data/DF2K"
train_dataloader.dataset.data_prefix = dict(
    img="DF2K_train_LR_bicubic/X{scale}", gt="DF2K_train_HR"
)
train_dataloader.dataset.patch_size = 64
train_dataloader.dataset.index_range = (0, 3000)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(3000, None))
)
default_hooks = dict(arch_optimizer=dict(dataloader=arch_dataloader))
