# The photographs of tools/demo.py: patches of four for the weights, of two for the architecture,
# and three whole ones, held out, for the test.  No validation: it would take a part of the minutes.
_base_ = ["div2k_x2.py", "sr_test_x2.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.num_workers = 0  # small patches load faster than two cores compute
train_dataloader.dataset.data_root = "data/demo/weights"
train_dataloader.dataset.data_prefix = dict(img="LR_bicubic/X{scale}_sub", gt="HR_sub")
train_dataloader.dataset.filename_tmpl = dict(img="{}", gt="{}")
train_dataloader.dataset.patch_size = 48

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
