# The photographs of tools/demo.py: patches of four for the weights, of two for the architecture,
# and three whole ones, held out, for the test.  No validation: it would take a part of the minutes.
_base_ = "patches_x2.py"

train_dataloader = _base_.train_dataloader
train_dataloader.dataset.data_root = "data/demo/weights"

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, data_root="data/demo/architecture")
)

val_dataloader = None
val_evaluator = None
val_cfg = None

test_dataloader = [dict(_base_.test_dataloader[0], num_workers=0)]
test_dataloader[0]["dataset"]["data_root"] = "data/demo/held_out"
test_evaluator = [_base_.test_evaluator[0]]
for metric in test_evaluator[0].metrics:
    metric.prefix = "held-out"
del metric
