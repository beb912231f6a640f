# Trains small DLSR networks by uniform paths on tools/demo.py's photographs: minutes (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/dlsr_paths.py",
    "../_base_/datasets/photographs_x2_architecture.py",
    "../_base_/schedules/path_search_minutes.py",
]

model = dict(generator=dict(space=dict(mid_channels=16)))
