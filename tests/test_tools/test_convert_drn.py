import pytest
import torch

from mmsrnas.genotypes import load_genotype
from mmsrnas.models import DRNNet

TOOL = "model_converters/convert_drn.py"


@pytest.fixture
def official(refs, tmp_path):
    """A released network and its dual networks, as files of their own."""

    def files(name):
        dump = torch.load(refs / "drn" / f"{name}.pt", weights_only=False)
        torch.save(dump["primal"], tmp_path / "primal.pt")
        torch.save(dump.get("duals"), tmp_path / "dual.pt")
        return dump, tmp_path / "primal.pt", tmp_path / "dual.pt"

    return files


@torch.no_grad()
def test_converted_network_computes_what_the_released_one_does(official, run_tool, tmp_path):
    dump, primal, dual = official("drn_x8_nb1_nf4")
    out = run_tool(TOOL, primal, tmp_path / "drn.pth", "--dual", dual)
    assert "mid_channels=4, num_blocks=1, upscale_factor=8" in out
    saved = torch.load(tmp_path / "drn.pth", weights_only=True)
    weights = saved["state_dict"]
    net = DRNNet(genotype=saved["meta"]["genotype"])
    net.load_state_dict(
        {k.removeprefix("generator."): w for k, w in weights.items() if k.startswith("generator.")}
    )
    output = 255 * net(dump["lr"][0] / 255)
    torch.testing.assert_close(output, dump["sr"][-1], rtol=0, atol=2e-4)
    assert sum(name.startswith("dual_networks.") for name in weights) == 6


@torch.no_grad()
def test_pruned_network_gets_its_genotype(official, run_tool, tmp_path):
    dump, primal, _ = official("sdrn_x4_nb2_nf8")
    out = run_tool(TOOL, primal, tmp_path / "pruned.pth")
    assert "genotype=" in out
    genotype = load_genotype(tmp_path / "pruned.json", "drc")
    assert genotype.widths == tuple(dump["meta"]["config"])
    saved = torch.load(tmp_path / "pruned.pth", weights_only=True)
    weights = saved["state_dict"]
    assert load_genotype(saved["meta"]["genotype"]) == genotype
    net = DRNNet(genotype=genotype)
    net.load_state_dict({k.removeprefix("generator."): w for k, w in weights.items()})
    output = 255 * net(dump["lr"][0] / 255)
    torch.testing.assert_close(output, dump["sr"][-1], rtol=0, atol=2e-4)


def test_wrong_files_are_named(official, run_tool, tmp_path):
    _, primal, _ = official("drn_x4_nb2_nf8")
    x4 = primal.rename(tmp_path / "x4.pt")
    _, x8, dual = official("drn_x8_nb1_nf4")
    with pytest.raises(SystemExit, match=r"dual\.pt: a network of scale x4 has a list of 2 dual"):
        run_tool(TOOL, x4, tmp_path / "out.pth", "--dual", dual)
    with pytest.raises(SystemExit, match="is no entry of a released DRN"):
        torch.save({"conv.weight": torch.ones(1)}, tmp_path / "other.pt")
        run_tool(TOOL, tmp_path / "other.pt", tmp_path / "out.pth")
    with pytest.raises(SystemExit, match=r"is damaged, or no checkpoint|was refused"):
        (tmp_path / "broken.pt").write_text("no")
        run_tool(TOOL, tmp_path / "broken.pt", tmp_path / "out.pth")
    state = torch.load(x8, weights_only=True)
    del state["tail.1.bias"]
    torch.save(state, x8)
    with pytest.raises(SystemExit, match=r"Missing key.*tails\.1\.bias"):
        run_tool(TOOL, x8, tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()
