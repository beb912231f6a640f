# The supernet of HNAS with its policy.  `area` of the released code is left out of the upsampling
# operations: it computes what `nearest` does.  `global_skip` is not in the paper; train what was
# found with it, too.
_base_ = "hnas.py"

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HNASSupernet",
        upscale_factor=2,
        num_layers=12,
        channels=8,
        global_skip=True,
        upsampling_ops=["sub_pixel", "deconvolution", "bilinear", "nearest"],
        controller=dict(type="mmsrnas.HNASController", compat="fixed"),
    )
)
