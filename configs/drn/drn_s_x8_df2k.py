# Trains DRN-S x8 with its dual networks: a million iterations, weeks on a GPU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/drn.py",
    "../_base_/datasets/df2k_x8.py",
    "../_base_/datasets/sr_test_x8.py",
    "../_base_/schedules/drn_train.py",
]

model = dict(generator=dict(upscale_factor=8, mid_channels=8), dual_network=dict(mid_channels=8))
val_evaluator = _base_.val_evaluator
val_evaluator.metrics += [dict(type="mmsrnas.LRConsistency", convert_to="Y", prefix="DIV2K")]
