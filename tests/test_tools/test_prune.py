import pytest
import torch

from mmsrnas.genotypes import DRCGenotype, GenotypeError, load_genotype
from mmsrnas.models import DRNNet
from mmsrnas.registry import MODELS

CONFIG = """
default_scope = "mmagic"
model = dict(
    type="mmsrnas.DualRegressionEditor",
    generator=dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=1, mid_channels=8),
    dual_network=dict(type="mmsrnas.DualNet", mid_channels=8),
    pyramid=True,
    pixel_loss=dict(type="L1Loss"),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="mmsrnas.PairedImageDataset",
        scale=2,
        data_root={root!r},
        data_prefix=dict(img="LR_bicubic/X2", gt="HR"),
        filename_tmpl=dict(img="{{}}x2", gt="{{}}"),
        pipeline=[
            dict(type="LoadImageFromFile", key="img", channel_order="rgb"),
            dict(type="LoadImageFromFile", key="gt", channel_order="rgb"),
            dict(type="PairedRandomCrop", gt_patch_size=32),
            dict(type="PackInputs"),
        ],
    ),
)
"""
FULL_WIDTHS = (8, 16, 16)


@pytest.fixture
def job(tmp_path, paired_images):
    """Config, checkpoint and genotype of a tiny network."""
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG.format(root=str(paired_images)))
    torch.manual_seed(0)
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope("mmagic")
    editor = MODELS.build(Config.fromfile(config).model)
    torch.save({"state_dict": editor.state_dict()}, tmp_path / "full.pth")
    DRCGenotype("DRNNet", FULL_WIDTHS, (4, 4, 8)).save(tmp_path / "genotype.json")
    return config, tmp_path / "full.pth", "--device", "cpu", "--batches", 2


def pruned(folder):
    genotype = load_genotype(folder / "genotype.json", "drc")
    weights = torch.load(folder / "pruned.pth", weights_only=True)["state_dict"]
    net = DRNNet(2, 1, 8, genotype=genotype)
    net.load_state_dict(
        {k.removeprefix("generator."): w for k, w in weights.items() if k.startswith("generator.")}
    )
    return net, weights


@pytest.mark.parametrize("criterion", ["dual_regression", "l1", "random"])
def test_thin_network_has_the_widths_and_comes_from_the_full_one(
    job, tmp_path, run_tool, criterion
):
    out = run_tool(
        "prune.py",
        *job,
        "--genotype",
        tmp_path / "genotype.json",
        "--criterion",
        criterion,
        "--work-dir",
        tmp_path / "out",
    )
    net, weights = pruned(tmp_path / "out")
    params = sum(p.numel() for p in net.parameters())
    assert f"-> {params:,} (" in out
    full = torch.load(tmp_path / "full.pth", weights_only=True)["state_dict"]
    torch.testing.assert_close(
        weights["generator.tails.1.weight"], full["generator.tails.1.weight"]
    )
    duals = [name for name in full if name.startswith("dual_networks.")]
    assert duals and all(torch.equal(weights[name], full[name]) for name in duals)
    # Each remaining row of the first convolution is one of the full network, in its order.
    rows = full["generator.up_blocks.0.blocks.0.conv1.weight"].flatten(1)
    kept = weights["generator.up_blocks.0.blocks.0.conv1.weight"].flatten(1)
    indices = [int((rows == row).all(1).nonzero()) for row in kept]
    assert indices == sorted(indices) and len(indices) == 4


def test_interrupted_run_continues_to_the_same_result(job, tmp_path, run_tool, monkeypatch):
    from mmsrnas.pruning import ChannelSelector

    arguments = (*job, "--genotype", tmp_path / "genotype.json", "--work-dir")
    run_tool("prune.py", *arguments, tmp_path / "whole")
    select = ChannelSelector.select_greedily
    calls = []

    def interrupted(self, site, width, note=None):
        calls.append(site.consumer)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return select(self, site, width, note)

    monkeypatch.setattr(ChannelSelector, "select_greedily", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tool("prune.py", *arguments, tmp_path / "parts")
    run_tool("prune.py", *arguments, tmp_path / "parts")
    first, second, third = "down_blocks.0.conv2", "up_blocks.0.blocks.0.conv2", "up_blocks.0.reduce"
    assert calls == [first, second, second, third]
    whole, parts = pruned(tmp_path / "whole")[1], pruned(tmp_path / "parts")[1]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    with pytest.raises(ValueError, match=r"another job \('seed' differs\)"):
        run_tool("prune.py", *arguments, tmp_path / "parts", "--seed", 1)
    full = torch.load(job[1], weights_only=True)
    full["state_dict"]["generator.conv_first.bias"] += 1
    torch.save(full, job[1])
    with pytest.raises(ValueError, match=r"another job \('weights' differs\)"):
        run_tool("prune.py", *arguments, tmp_path / "parts")


@pytest.mark.parametrize("criterion", ["dual_regression", "l1"])
def test_prunes_a_generator_of_mmagic_in_its_own_editor(job, tmp_path, run_tool, criterion):
    config = tmp_path / "edsr.py"
    edsr = dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=16, num_blocks=2)
    edsr["upscale_factor"] = 2
    text = CONFIG.format(root=str(tmp_path / "pairs"))
    text += f"""
model = dict(
    type="BaseEditModel",
    generator={edsr},
    pixel_loss=dict(type="L1Loss"),
    data_preprocessor=model["data_preprocessor"],
)
"""
    config.write_text(text)
    full = MODELS.build(edsr)
    torch.save({"state_dict": {f"generator.{k}": v for k, v in full.state_dict().items()}}, job[1])
    options = ("--uniform", 0.8, "--cost", "params", "--criterion", criterion)
    run_tool("prune.py", config, *job[1:], *options, "--work-dir", tmp_path / "out")
    genotype = load_genotype(tmp_path / "out/genotype.json", "drc")
    assert genotype.architecture == "EDSRNet" and max(genotype.widths) < 16
    thin = MODELS.build(dict(type="mmsrnas.PrunedNet", generator=edsr, genotype=genotype))
    weights = torch.load(tmp_path / "out/pruned.pth", weights_only=True)["state_dict"]
    thin.load_state_dict({k.removeprefix("generator."): v for k, v in weights.items()})
    params = sum(p.numel() for p in thin.parameters()) / sum(p.numel() for p in full.parameters())
    assert 0.78 < params <= 0.8


def test_uniform_and_random_widths_meet_the_budget(job, tmp_path, run_tool):
    for option in ("--uniform", "--random"):
        folder = tmp_path / option.strip("-")
        options = (option, 0.8, "--cost", "params", "--criterion", "l1", "--work-dir", folder)
        run_tool("prune.py", *job, *options)
        net, _ = pruned(folder)
        full = sum(p.numel() for p in DRNNet(2, 1, 8).parameters())
        assert 0.7 * full < sum(p.numel() for p in net.parameters()) <= 0.8 * full


def test_wrong_input_is_refused_before_work_starts(job, tmp_path, run_tool):
    out = ("--work-dir", tmp_path / "out")
    with pytest.raises(GenotypeError, match="64 sites, this DRNNet has 3"):
        run_tool("prune.py", *job, "--genotype", "DRNS_X4_P50", *out)
    with pytest.raises(ValueError, match="The smallest widths cost"):
        run_tool("prune.py", *job, "--uniform", 0.01, *out)
    with pytest.raises(SystemExit):
        run_tool("prune.py", *job, "--uniform", 1.5, *out)
    weights = torch.load(tmp_path / "full.pth", weights_only=True)["state_dict"]
    x4 = {name.replace("dual_networks.0", "dual_networks.1"): w for name, w in weights.items()}
    torch.save({"state_dict": weights | x4}, tmp_path / "full.pth")
    with pytest.raises(ValueError, match=r"other 'dual_networks\.' weights .* another scale"):
        run_tool("prune.py", *job, "--uniform", 0.5, *out)
    weights = {name: w for name, w in weights.items() if not name.startswith("dual_networks")}
    torch.save({"state_dict": weights}, tmp_path / "full.pth")
    with pytest.raises(SystemExit, match="has no dual networks; train them first"):
        run_tool("prune.py", *job, "--uniform", 0.5, *out)
    assert not (tmp_path / "out/pruned.pth").exists()
