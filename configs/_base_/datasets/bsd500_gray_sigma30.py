_base_ = ["bsd500_gray.py"]

for loader in (_base_.train_dataloader, _base_.val_dataloader, *_base_.test_dataloader):
    loader.dataset.sigma = 30
del loader
