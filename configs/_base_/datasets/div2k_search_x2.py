# 700 of the 800 images of DIV2K train the weights, the other 100 the architecture.
_base_ = ["div2k_x2.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 64
train_dataloader.dataset.patch_size = 64
train_dataloader.dataset.index_range = (0, 700)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(700, None))
)
