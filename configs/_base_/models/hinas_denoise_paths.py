# The networks of HiNAS' space for denoising, trained by uniform paths; sizes are the config's.
_base_ = "hinas_denoise.py"

model = dict(
    type="mmsrnas.PathEditor",
    generator=dict(
        _delete_=True,
        type="mmsrnas.SharedSupernet",
        space=dict(type="mmsrnas.HiNASSpace", task="denoise", upscale_factor=1, in_channels=1),
    ),
)
