# The networks of HNAS' space as they are derived, without normalisation, trained by uniform paths.
# Shared weights learn little unless every operation starts near the identity, and a node is the
# mean of its operations: sums grow with the depth of the graph. What networks of features of unit
# variance make is divided by 16.
_base_ = "hnas.py"

model = dict(
    type="mmsrnas.PathEditor",
    generator=dict(
        _delete_=True,
        type="mmsrnas.SharedSupernet",
        space=dict(
            type="mmsrnas.HNASSpace",
            upscale_factor=2,
            num_cells=12,
            mid_channels=8,
            global_skip=True,
            upsampling_ops=["sub_pixel", "deconvolution", "bilinear", "nearest"],
            deduplicate=True,
        ),
        network=dict(img_range=16.0, average=True),
        start=dict(aligned=True),
    ),
)
