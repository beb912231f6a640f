# Trains mmagic's EDSR x4 in the closed loop, 300,000 iterations: days on a GPU (estimate).
# Only the editor and the dual network are new.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/drn.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/datasets/sr_test_x4.py",
    "../_base_/schedules/drn_train.py",
]

model = dict(
    generator=dict(
        _delete_=True,
        type="EDSRNet",
        in_channels=3,
        out_channels=3,
        mid_channels=64,
        num_blocks=16,
        upscale_factor=4,
    ),
    pyramid=False,
)
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_iters=300 * 1000)
param_scheduler = dict(
    _delete_=True, type="MultiStepLR", by_epoch=False, milestones=[200 * 1000], gamma=0.5
)
val_evaluator = _base_.val_evaluator
val_evaluator.metrics += [dict(type="mmsrnas.LRConsistency", convert_to="Y", prefix="DIV2K")]
