from pathlib import Path

import mmagic
import pytest

CONFIGS = Path(__file__).parents[2] / "configs/dlsr"
EDSR = Path(mmagic.__file__).parent / ".mim/configs/edsr/edsr_x2c64b16_1xb16-300k_div2k.py"
TOOL = "analysis_tools/get_flops.py"


@pytest.mark.parametrize(
    ("config", "lines"),
    [
        ("dlsr_x2_div2k", ("640x360, 3 channels", "322,620", "67.31 G")),
        ("dlsr_x3_div2k", ("427x240, 3 channels", "329,115", "30.60 G")),
        ("dlsr_x4_div2k", ("320x180, 3 channels", "338,208", "17.72 G")),
        ("dlsr_tiny_x2_div2k", ("640x360, 3 channels", "56,268", "12.07 G")),
    ],
)
def test_dlsr(run_tool, config, lines):
    printed = run_tool(TOOL, CONFIGS / f"{config}.py")
    assert all(line in printed for line in lines), printed
    assert "bias, activation, pooling and interpolation are not counted" in printed


def test_config_of_mmagic(run_tool):
    printed = run_tool(TOOL, EDSR)
    assert "1,369,859" in printed
    assert "316.25 G" in printed


def test_shape_and_options(run_tool):
    printed = run_tool(
        TOOL,
        CONFIGS / "dlsr_x2_div2k.py",
        *("--shape", "3", "32", "48"),
        "--cfg-options",
        "model.generator.genotype=DLSR_TINY",
    )
    assert "48x32, 3 channels" in printed
    assert "56,268" in printed


def test_wrong_size_ends_with_the_form_that_is_expected(run_tool, capsys):
    with pytest.raises(SystemExit):
        run_tool(TOOL, CONFIGS / "dlsr_x2_div2k.py", "--hr=1280")
    assert "WIDTHxHEIGHT" in capsys.readouterr().err
