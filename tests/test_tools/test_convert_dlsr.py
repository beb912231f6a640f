import cv2
import numpy as np
import pytest
import torch

from mmsrnas.models import DLSRNet

TOOL = "model_converters/convert_dlsr.py"
FILE = "RFDN_beta21_ps128_20210128_1000.pt"


def test_converted_file_gives_the_official_output(refs, run_tool, tmp_path):
    run_tool(TOOL, refs / "dlsr" / FILE, tmp_path / "dlsr.pth", "--genotype", "DLSR")
    checkpoint = torch.load(tmp_path / "dlsr.pth", weights_only=True)
    net = DLSRNet(checkpoint["meta"]["genotype"])
    state = checkpoint["state_dict"].items()
    net.load_state_dict({key.removeprefix("generator."): value for key, value in state})
    dump = np.load(refs / "dlsr" / "dlsr_beta21_x2.npz")
    with torch.no_grad():
        output = net(torch.from_numpy(dump["x_min15"]).float() / 255) * 255
    torch.testing.assert_close(output, torch.from_numpy(dump["y_min15"]), rtol=0, atol=2e-3)


def test_other_operations_are_refused(refs, run_tool, tmp_path):
    with pytest.raises(SystemExit, match=r"the weights are those of .*'conv_1x1'"):
        run_tool(TOOL, refs / "dlsr" / FILE, tmp_path / "out.pth", "--genotype", "DLSR_PARA")
    assert not (tmp_path / "out.pth").exists()


def test_other_connections_are_refused(refs, run_tool, tmp_path):
    """Same shapes and names, so only the behaviour can tell."""
    genotype = DLSRNet("DLSR").genotype
    wrong = type(genotype)(genotype.ops, DLSRNet("DLSR_PARA").genotype.connections)
    wrong.save(tmp_path / "wrong.json")
    arguments = (refs / "dlsr" / FILE, tmp_path / "out.pth", "--genotype", tmp_path / "wrong.json")
    with pytest.raises(SystemExit, match="do not seem to belong to these weights"):
        run_tool(TOOL, *arguments)
    run_tool(TOOL, *arguments, "--trust-connections")


def test_an_output_of_the_released_code_proves_the_connections(refs, run_tool, tmp_path):
    dump = np.load(refs / "dlsr" / "dlsr_beta21_x2.npz")
    for key in ("x_min15", "y_min15"):
        image = dump[key][0].transpose(1, 2, 0)[..., ::-1].round().clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{key}.png"), image)
    genotype = DLSRNet("DLSR").genotype
    wrong = genotype.replace(connections=DLSRNet("DLSR_PARA").genotype.connections)
    wrong.save(tmp_path / "wrong.json")
    source, target = refs / "dlsr" / FILE, tmp_path / "out.pth"
    proof = ("--reference", tmp_path / "x_min15.png", tmp_path / "y_min15.png")
    with pytest.raises(SystemExit, match="makes another image of"):
        run_tool(TOOL, source, target, "--genotype", tmp_path / "wrong.json", *proof)
    assert not target.exists()
    assert "taken from --genotype" not in run_tool(TOOL, source, target, "--genotype=DLSR", *proof)
    assert "taken from --genotype" in run_tool(TOOL, source, target, "--genotype=DLSR")


def test_anything_else_is_refused(run_tool, tmp_path):
    torch.save({"state_dict": {"head.weight": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(SystemExit, match=r"'head\.weight' is no entry of a released DLSR"):
        run_tool(TOOL, tmp_path / "other.pt", tmp_path / "out.pth", "--genotype", "DLSR")
