# The official downloads have no bicubic LR images of scale 8; the converters make them.
_base_ = ["df2k_x4.py"]

scale = 8

_base_.train_dataloader.dataset.scale = scale
_base_.val_dataloader.dataset.scale = scale
_base_.train_dataloader.dataset.patch_size = 48 * scale
for metric in _base_.val_evaluator.metrics:
    metric.crop_border = scale
del metric
