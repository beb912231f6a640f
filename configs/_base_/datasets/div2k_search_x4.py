# HiNAS at scale 4: of the 800 images of DIV2K 380 train the weights and 380 the architecture.
_base_ = ["div2k_x4.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 24
train_dataloader.dataset.index_range = (0, 380)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(380, 760))
)
