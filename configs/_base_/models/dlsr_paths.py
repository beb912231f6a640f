# The networks of DLSR's space, trained by uniform paths. The interpolation is added to their
# output; what networks of features of unit variance make is divided by 16.
_base_ = "dlsr.py"

model = dict(
    type="mmsrnas.PathEditor",
    generator=dict(
        _delete_=True,
        type="mmsrnas.SharedSupernet",
        space=dict(type="mmsrnas.DLSRSpace", upscale_factor=2, global_skip=True),
        network=dict(img_range=16.0),
    ),
)
