# Trains DLSR x3 on DIV2K, two million iterations: days on a GPU (estimate).
# To start from the trunk at scale 2, as the released code does, name its checkpoint:
# --cfg-options load_from=work_dirs/dlsr_x2_div2k/iter_1941000.pth
# The upsampler differs in shape and starts anew.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/dlsr.py",
    "../_base_/datasets/div2k_x3.py",
    "../_base_/datasets/sr_test_x3.py",
    "../_base_/schedules/dlsr_train.py",
]

model = dict(generator=dict(upscale_factor=3))
default_hooks = dict(checkpoint_fit=dict(new_modules=["upsample"]))
