# The networks of DLSR's space, trained by uniform paths.
_base_ = "dlsr.py"

model = dict(
    type="mmsrnas.PathEditor",
    generator=dict(
        _delete_=True,
        type="mmsrnas.SharedSupernet",
        space=dict(type="mmsrnas.DLSRSpace", upscale_factor=2),
    ),
)
