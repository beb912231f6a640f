# 3000 of the 3450 images of DF2K train the weights, the other 450 the architecture.
_base_ = ["df2k_x2.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 64
train_dataloader.dataset.patch_size = 64
train_dataloader.dataset.index_range = (0, 3000)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(3000, None))
)
