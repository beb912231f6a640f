# The networks of HiNAS' space for super-resolution, trained by uniform paths; sizes are the
# config's.
_base_ = "hinas_sr.py"

model = dict(
    type="mmsrnas.PathEditor",
    generator=dict(
        _delete_=True,
        type="mmsrnas.SharedSupernet",
        space=dict(type="mmsrnas.HiNASSpace", task="sr", upscale_factor=2, in_channels=3),
    ),
)
