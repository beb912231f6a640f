# Trains DLSR x2 on DF2K, the data of the paper, two million iterations: days on a GPU (estimate).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/dlsr.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/datasets/sr_test_x2.py",
    "../_base_/schedules/dlsr_train.py",
]

train_dataloader = dict(
    dataset=dict(
        data_root="data/DF2K",
        data_prefix=dict(img="DF2K_train_LR_bicubic/X{scale}", gt="DF2K_train_HR"),
    )
)
