# The same images in colour.
_base_ = ["bsd500_gray.py"]

for loader in (_base_.train_dataloader, _base_.val_dataloader, *_base_.test_dataloader):
    loader.dataset.pipeline[0].update(color_type="color", channel_order="rgb")
del loader
