# Searches HNAS with lambda 0.6, 201,000 iterations: days on a GPU (estimate).
# 320 images of DIV2K for the weights, 480 for the policy; patches of 96x96, 16 for the weights.
# The policy scores 8 architectures on 4 patches where the released code scores one on 16.
_base_ = [
    "../_base_/models/hnas_search.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/schedules/hnas_search.py",
]

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 16
train_dataloader.dataset.patch_size = 96
train_dataloader.dataset.index_range = (0, 320)

policy_dataloader = dict(
    train_dataloader, batch_size=4, dataset=dict(train_dataloader.dataset, index_range=(320, None))
)
train_cfg = dict(policy_dataloader=policy_dataloader)
