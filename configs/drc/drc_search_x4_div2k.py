# Searches channel numbers of a trained DRN-S: hours on a GPU (estimate).
# Half of the images train the weights, half the widths.  Another budget:
# --cfg-options model.generator.budget_share=0.7
_base_ = [
    "../_base_/models/drc_search.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/schedules/drc_search.py",
]

model = dict(pretrained="checkpoints/drn_s_x4.pth")

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.dataset.patch_size = 192
train_dataloader.dataset.index_range = (0, 400)

arch_dataloader = dict(
    train_dataloader, dataset=dict(train_dataloader.dataset, index_range=(400, None))
)
default_hooks = dict(arch_optimizer=dict(dataloader=arch_dataloader), checkpoint=dict(interval=250))
