# The supernet of the elastic space, trained by the sandwich rule.
_base_ = "elastic.py"

model = dict(
    type="mmsrnas.SandwichEditor",
    num_random=2,
    generator=dict(_delete_=True, type="mmsrnas.ElasticSupernet", upscale_factor=2),
)
