"""From the checkpoint of an elastic training to the network of a budget, with its weights."""

import csv
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmsrnas.apis.inference import load_network
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.costs import Cost
from mmsrnas.genotypes import DLSRGenotype, load_genotype
from mmsrnas.models import ElasticNet
from mmsrnas.registry import MODELS

sys.path.insert(0, str(Path(__file__).parents[1] / "test_engine"))
import test_sandwich_search
import tiny_search


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Work dir of three iterations, and the supernet that they made."""
    folder = tmp_path_factory.mktemp("select")
    tiny_search.write_images(folder)
    options = test_sandwich_search.options(iters=2, val_interval=2, augment=False)
    runner = tiny_search.runner(folder, **options)
    runner.train()
    return folder / "run", runner.model.generator.eval().cpu()


@pytest.fixture
def tool(run_tool):
    with DefaultScope.overwrite_default_scope("mmagic"):
        yield run_tool


def test_front_and_the_network_of_a_budget(searched, tool, tmp_path):
    work_dir, supernet = searched
    printed = tool("select_front.py", work_dir, "--cost", "params", "--device", "cpu", "--crop", 8)
    space, folder = supernet.space, work_dir / "front"
    assert f"{space.size()} sub-networks judged" in printed
    with open(folder / "judged.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == space.size()
    front = [row for row in rows if row["on_front"] == "True"]
    assert len(front) == len(list(folder.glob("[0-9]*.json"))) > 1
    quality = [float(row["psnr"]) for row in front]
    assert quality == sorted(quality)
    cheapest = load_genotype(folder / "00.json", "elastic")
    assert Cost("params")(ElasticNet(cheapest)) == float(front[0]["cost"])
    assert (folder / "front.png").is_file() and (folder / "00.png").is_file()

    budget = float(front[-2]["cost"])
    tool("derive.py", folder / "supernet.pth", "--max-params", budget, "--out", tmp_path / "g.json")
    genotype = load_genotype(tmp_path / "g.json", "elastic")
    assert str(genotype.to_dict()) == front[-2]["genotype"]
    # The shared weights are enough, and those that a training with branches starts from.
    network = load_network(tmp_path / "g.pth")
    trained = ElasticNet(genotype, reparameterized=True)
    read_checkpoint(tmp_path / "g.pth").load_into(trained)
    x = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(network(x), supernet(x, genotype))
        torch.testing.assert_close(trained(x), supernet(x, genotype))
    with pytest.raises(SystemExit, match="out of reach"):
        tool("derive.py", folder / "supernet.pth", "--max-params", 10)


def test_the_best_are_trained_alone_and_judged_by_that(searched, tool, tmp_path):
    work_dir, supernet = searched
    before = {name: weight.clone() for name, weight in supernet.state_dict().items()}
    rows = {}
    for name, final in {"shared": (), "alone": ("--final", 2, "--finalists", 3)}.items():
        options = ("--cost", "params", "--device", "cpu", "--crop", 8, "--out", tmp_path / name)
        tool("select_front.py", work_dir, *options, *final)
        with open(tmp_path / name / "judged.csv", newline="") as file:
            rows[name] = {row["genotype"]: row for row in csv.DictReader(file)}
    on_front = {g for g, row in rows["shared"].items() if row["on_front"] == "True"}
    assert len(rows["alone"]) == 3 < len(rows["shared"])
    assert len(on_front & set(rows["alone"])) == min(3, len(on_front))
    assert all(row["psnr"] != rows["shared"][g]["psnr"] for g, row in rows["alone"].items())
    kept = read_checkpoint(tmp_path / "alone/supernet.pth").part("generator")
    for name, weight in before.items():
        if name != "ranking":
            torch.testing.assert_close(kept[name], weight)


def test_what_cannot_be_judged_is_refused(searched, tool, tmp_path):
    work_dir, _ = searched
    cfg = Config(tiny_search.config(work_dir.parent, val_interval=2))
    cfg.model.generator = dict(type="EDSRNet", in_channels=3, out_channels=3)
    cfg.dump(tmp_path / "other.py")
    with pytest.raises(SystemExit, match="EDSRNet, whose sub-networks cannot be judged"):
        tool("select_front.py", work_dir, "--cost", "params", "--config", tmp_path / "other.py")


def test_paths_of_another_method_are_derived_with_their_weights(tool, tmp_path):
    space = dict(type="mmsrnas.DLSRSpace", num_cells=2, mid_channels=4)
    generator = dict(type="mmsrnas.SharedSupernet", space=space)
    model = dict(type="mmsrnas.PathEditor", generator=generator, pixel_loss=dict(type="L1Loss"))
    Config(dict(default_scope="mmagic", model=model)).dump(tmp_path / "search.py")
    supernet = MODELS.build(generator)
    chosen = [DLSRGenotype((op,) * 3, (), 4) for op in ("conv_7x7", "conv_3x3", "conv_1x1")]
    supernet.rank(chosen)
    state = {f"generator.{name}": value for name, value in supernet.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "supernet.pth")
    budget = Cost("params")(supernet.build_network(chosen[1]))
    out = tmp_path / "g.json"
    arguments = ("derive.py", tmp_path / "supernet.pth", "--config", tmp_path / "search.py")
    arguments += ("--out", out, "--max-params")
    tool(*arguments, budget)
    assert load_genotype(out) == chosen[1]
    weights = torch.load(tmp_path / "g.pth")["state_dict"]
    for name, value in supernet.extract(chosen[1]).state_dict().items():
        assert torch.equal(weights[f"generator.{name}"], value)
    assert "No shared weights" in tool(*arguments, 20 * budget)
    assert load_genotype(out).mid_channels > 4
