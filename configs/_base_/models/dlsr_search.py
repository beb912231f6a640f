# The supernet of DLSR.
_base_ = "dlsr.py"

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.DLSRSupernet",
        upscale_factor=2,
        mid_channels=48,
    )
)
