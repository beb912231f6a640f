# DLSR on DF2K, the data of the paper.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/dlsr.py",
    "../_base_/datasets/df2k_x2.py",
    "../_base_/datasets/sr_test_x2.py",
    "../_base_/schedules/dlsr_train.py",
]
