# Patches of images for short runs on the CPU; who takes this names the folders.
_base_ = ["div2k_x2.py", "sr_test_x2.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.num_workers = 0  # small patches load faster than two cores compute
train_dataloader.dataset.data_prefix = dict(img="LR_bicubic/X{scale}_sub", gt="HR_sub")
train_dataloader.dataset.filename_tmpl = dict(img="{}", gt="{}")
train_dataloader.dataset.patch_size = 48
