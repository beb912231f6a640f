# Trains small HiNAS denoisers by uniform paths on photographs of a demo: minutes (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/hinas_denoise_paths.py",
    "../_base_/datasets/photographs_gray.py",
    "../_base_/schedules/path_search_minutes.py",
]

model = dict(generator=dict(space=dict(num_cells=2, num_nodes=2, mid_channels=4)))
train_dataloader = dict(batch_size=8)

# The photographs of the architecture judge: whole ones, not patches.
val_dataloader = dict(
    _base_.test_dataloader[0],
    dataset=dict(
        _base_.test_dataloader[0]["dataset"],
        data_prefix=dict(img="architecture", gt="architecture"),
    ),
    _delete_=True,
)
val_evaluator = dict(
    type="Evaluator",
    metrics=[dict(type="mmsrnas.PSNR", prefix="architecture")],
    _delete_=True,
)
val_cfg = dict(_delete_=True, type="MultiValLoop")
