_base_ = ["bsd500_gray.py"]

_base_.train_dataloader.dataset.pipeline[5].sigma = 30
for loader in (_base_.val_dataloader, *_base_.test_dataloader):
    loader.dataset.pipeline[1].sigma = 30
del loader
