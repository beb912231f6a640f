_base_ = ["div2k_x2.py"]

scale = 8

_base_.train_dataloader.dataset.scale = scale
_base_.train_dataloader.dataset.patch_size = 64 * scale
_base_.val_dataloader.dataset.scale = scale
for metric in _base_.val_evaluator.metrics:
    metric.crop_border = scale
del metric
