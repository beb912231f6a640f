# As photographs_x2.py, validated by the photographs of the architecture, as a selection needs.
_base_ = "photographs_x2.py"

# The photographs of the architecture judge: whole ones, not patches.
val_dataloader = dict(
    _base_.test_dataloader[0],
    dataset=dict(_base_.test_dataloader[0]["dataset"], data_root="data/demo/architecture"),
    _delete_=True,
)
val_evaluator = dict(
    type="Evaluator",
    metrics=[dict(type="mmsrnas.PSNR", crop_border=2, convert_to="Y", prefix="architecture")],
    _delete_=True,
)
val_cfg = dict(_delete_=True, type="MultiValLoop")
