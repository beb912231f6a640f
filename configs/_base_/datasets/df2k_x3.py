_base_ = ["div2k_x3.py"]

train_dataloader = dict(
    dataset=dict(
        data_root="data/DF2K",
        data_prefix=dict(img="DF2K_train_LR_bicubic/X{scale}", gt="DF2K_train_HR"),
    )
)
