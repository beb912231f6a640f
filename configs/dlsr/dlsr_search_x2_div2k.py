# Searches DLSR at scale 2 on DIV2K, nearly a million iterations: days on a GPU (estimate).
# 700 of the 800 images train the weights, the other 100 the architecture.
_base_ = [
    "../_base_/models/dlsr_search.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/schedules/dlsr_search.py",
]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 64
train_dataloader.dataset.patch_size = 64
train_dataloader.dataset.index_range = (0, 700)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(700, None))
)
default_hooks = dict(arch_optimizer=dict(dataloader=arch_dataloader))
