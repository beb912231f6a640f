# The supernet of HNAS with its policy, over the space of the paper: seven normal operations.
# `area` is left out of the upsampling operations: it computes what `nearest` does.  `global_skip`
# is not in the paper; it is in the genotype that the search writes.
_base_ = "hnas.py"

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.HNASSupernet",
        upscale_factor=2,
        num_cells=12,
        mid_channels=8,
        global_skip=True,
        normal_ops=[
            "rcab",
            "skip_connect",
            "sep_conv_3x3",
            "sep_conv_5x5",
            "dil_conv_3x3",
            "dil_conv_5x5",
            "up_and_down",
        ],
        upsampling_ops=["sub_pixel", "deconvolution", "bilinear", "nearest"],
        policy=dict(type="mmsrnas.HNASController"),
        cost="multi_adds",
        derived_mid_channels=64,
    )
)
