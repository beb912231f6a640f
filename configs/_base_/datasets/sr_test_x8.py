_base_ = ["sr_test_x2.py"]

for loader in _base_.test_dataloader:
    loader.dataset.scale = 8
for evaluator in _base_.test_evaluator:
    for metric in evaluator.metrics:
        metric.crop_border = 8
del loader, evaluator, metric
