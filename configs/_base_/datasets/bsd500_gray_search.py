# The search of HiNAS: one half of the training images trains the weights, the other half the
# architecture, and every image has one of the three sigmas, for one architecture for all of them.
_base_ = ["bsd500_gray.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 6
train_dataloader.dataset.index_range = (0, 147)
train_dataloader.dataset.sigma = [30, 50, 70]

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(147, 294))
)
