# Patches of natural images, for short runs on one CPU core (docs/experiments/hnas-reduced.md makes
# them): training images of BSDS500 for the weights, test images for the architecture.  Its
# validation images are B100.  Validation on patches of 256x256 of DIV2K.
_base_ = ["div2k_x2.py", "sr_test_x2.py"]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.num_workers = 0  # small patches load faster than two cores compute
train_dataloader.dataset.data_root = "data/BSDS500/train"
train_dataloader.dataset.data_prefix = dict(img="LR_bicubic/X{scale}_sub", gt="HR_sub")
train_dataloader.dataset.filename_tmpl = dict(img="{}", gt="{}")
train_dataloader.dataset.patch_size = 48

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, data_root="data/BSDS500/test")
)

val_dataloader = _base_.val_dataloader
val_dataloader.num_workers = 0
val_dataloader.dataset.data_root = "data/DIV2K_patches"
val_dataloader.dataset.data_prefix = dict(img="LR_bicubic/X{scale}", gt="HR")

skip_missing_test_sets = True
