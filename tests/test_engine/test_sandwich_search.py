"""The training of an elastic supernet is an ordinary run, resumed and in bf16."""

import shutil

import pytest
import tiny_search
import torch

MODEL = dict(
    type="mmsrnas.SandwichEditor",
    generator=dict(
        type="mmsrnas.ElasticSupernet",
        num_cells=(1, 2),
        mid_channels=(4, 6),
        cells_per_stage=1,
        activations=("silu", "prelu"),
    ),
    pixel_loss=dict(type="L1Loss"),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
)
HOOKS = [
    dict(type="mmsrnas.ExactResumeHook"),
    dict(type="mmsrnas.GenotypeHook"),
    dict(type="mmsrnas.UnitVarianceHook"),
]


def options(optimizer="Adam", **kwargs):
    optim_wrapper = dict(optimizer=dict(type=optimizer, lr=0.01)) | kwargs.pop("wrapper", {})
    return dict(
        model=MODEL,
        custom_hooks=HOOKS,
        optim_wrapper=optim_wrapper,
        find_unused_parameters=True,
        **kwargs,
    )


def state(folder, run, iteration):
    checkpoint = torch.load(folder / run / f"iter_{iteration}.pth", weights_only=True)
    return checkpoint["state_dict"], checkpoint["optimizer"]["state"]


@pytest.mark.parametrize("wrapper", [{}, dict(type="mmsrnas.AutocastOptimWrapper")])
def test_resumed_run_ends_as_the_uninterrupted_one(images, wrapper):
    name = "amp" if wrapper else "plain"
    run = f"{name}_cut"
    tiny_search.runner(images, run=f"{name}_whole", iters=4, **options(wrapper=wrapper)).train()
    (images / run).mkdir()
    shutil.copy(images / f"{name}_whole/iter_2.pth", images / run)
    torch.rand(5)
    tiny_search.runner(images, run=run, iters=4, resume=True, **options(wrapper=wrapper)).train()
    (whole, whole_adam), (cut, cut_adam) = (state(images, r, 4) for r in (f"{name}_whole", run))
    assert whole["steps"] == 4
    assert all(torch.equal(tensor, cut[key]) for key, tensor in whole.items())
    assert whole_adam.keys() == cut_adam.keys()
    for index, moments in whole_adam.items():
        assert all(torch.equal(value, cut_adam[index][key]) for key, value in moments.items())
    halfway, _ = state(images, run, 2)
    assert not torch.equal(halfway["generator.stem.weight"], cut["generator.stem.weight"])
    assert (images / run / "genotype.json").is_file()


def test_resumed_paths_end_as_the_uninterrupted_ones(images):
    sizes = dict(upscale_factor=2, num_cells=1, num_nodes=1, mid_channels=2)
    space = dict(type="mmsrnas.HiNASSpace", **sizes)
    generator = dict(type="mmsrnas.SharedSupernet", space=space)
    model = MODEL | dict(type="mmsrnas.PathEditor", generator=generator)
    cut = options() | dict(model=model, custom_hooks=HOOKS[:2])
    tiny_search.runner(images, run="paths_whole", iters=4, **cut).train()
    (images / "paths_cut").mkdir()
    shutil.copy(images / "paths_whole/iter_2.pth", images / "paths_cut")
    tiny_search.runner(images, run="paths_cut", iters=4, resume=True, **cut).train()
    whole, resumed = (state(images, run, 4)[0] for run in ("paths_whole", "paths_cut"))
    halfway, _ = state(images, "paths_whole", 2)
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in whole.items())
    assert any(not torch.equal(tensor, halfway[key]) for key, tensor in whole.items())
