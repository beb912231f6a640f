import json

import numpy as np
import pytest
import torch

from mmsrnas.genotypes import DLSRGenotype, GenotypeError
from mmsrnas.models import DLSRNet
from mmsrnas.models.dlsr.official import translate_official_keys

OFFICIAL = {
    "beta21": ("RFDN_beta21_ps128_20210128_1000.pt", "DLSR"),
    "para": ("RFDN_beta1_para_loss.pt", "DLSR_PARA"),
}
CASES = ("noise32", "odd37x45", "smooth48x64", "min15")


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.fixture(params=OFFICIAL, scope="module")
def official(request, refs):
    file, genotype = OFFICIAL[request.param]
    state = torch.load(refs / "dlsr" / file, weights_only=True, map_location="cpu")["state_dict"]
    net = DLSRNet(genotype)
    net.load_state_dict(translate_official_keys(state), strict=True)
    return net.eval(), np.load(refs / "dlsr" / f"dlsr_{request.param}_x2.npz"), request.param


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_official_weights_give_official_outputs(official, case):
    net, dump, _ = official
    output = net(torch.from_numpy(dump[f"x_{case}"]).float() / 255) * 255
    torch.testing.assert_close(output, torch.from_numpy(dump[f"y_{case}"]), rtol=0, atol=2e-3)


@torch.no_grad()
def test_official_weights_give_official_features_and_float64_outputs(official, refs):
    _, inputs, name = official
    path = refs / "dlsr" / f"dlsr_{name}_x2_feats.npz"
    if not path.exists():
        pytest.skip(f"no float64 dump of {name}")
    dump = np.load(path)
    net = DLSRNet(OFFICIAL[name][1]).double().eval()
    state = torch.load(refs / "dlsr" / OFFICIAL[name][0], weights_only=True, map_location="cpu")
    net.load_state_dict(translate_official_keys(state["state_dict"]))
    for case in CASES:
        output = net(torch.from_numpy(inputs[f"x_{case}"]).double() / 255) * 255
        torch.testing.assert_close(output, torch.from_numpy(dump[f"y64_{case}"]), rtol=0, atol=1e-6)
    seen = {}
    net.cells[2].register_forward_hook(lambda *args: seen.update(out=args[2]))
    net(torch.from_numpy(dump["x_noise32"]).double() / 255)
    torch.testing.assert_close(
        seen["out"].float(), torch.from_numpy(dump["feat_B3"]), rtol=0, atol=5e-4
    )


@pytest.mark.parametrize(
    ("genotype", "scale", "params"),
    [
        ("DLSR", 2, 322_620),
        ("DLSR", 3, 329_115),
        ("DLSR", 4, 338_208),
        ("DLSR_TINY", 2, 56_268),
        ("DLSR_PARA", 2, 327_804),
    ],
)
def test_published_parameter_counts(genotype, scale, params):
    assert count(DLSRNet(genotype, upscale_factor=scale)) == params


def test_genotype_as_dict_and_file_and_width_override(tmp_path):
    genotype = DLSRGenotype(("conv_3x3", "conv_1x1", "dil_conv_3x3"), ((0, 1), (2, 0)), 8)
    genotype.save(tmp_path / "g.json", {"seed": 1})
    assert json.loads((tmp_path / "g.json").read_text())["provenance"] == {"seed": 1}
    nets = [DLSRNet(s) for s in (genotype, genotype.to_dict(), str(tmp_path / "g.json"))]
    assert len({count(net) for net in nets}) == 1
    assert len(nets[0].cells) == 4
    assert nets[2].genotype == genotype
    assert DLSRNet(genotype, mid_channels=16).conv_first.out_channels == 16


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_output_size(scale):
    net = DLSRNet("DLSR_TINY", upscale_factor=scale)
    assert net(torch.rand(1, 3, 15, 21)).shape == (1, 3, 15 * scale, 21 * scale)


def test_too_small_image_is_explained():
    with pytest.raises(ValueError, match=r"at least 15 x 15 pixels.*got 14 x 20"):
        DLSRNet("DLSR_TINY")(torch.rand(1, 3, 14, 20))


def test_wrong_genotypes_are_refused():
    with pytest.raises(GenotypeError, match="unknown genotype 'NOPE'"):
        DLSRNet("NOPE")
    with pytest.raises(GenotypeError, match="method"):
        DLSRNet({"method": "hnas"})


def test_bf16_weight_gradients_are_finite():
    net = DLSRNet({"method": "dlsr", "ops": ["dil_conv_5x5"] * 3, "connections": [[0, 1]]})
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            net(torch.rand(2, 3, 16, 16)).abs().mean().backward()
        assert all(p.grad.isfinite().all() for p in net.parameters())


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3])
def test_with_global_skip_it_starts_as_bicubic_interpolation(scale):
    net = DLSRNet("DLSR", scale, mid_channels=4, global_skip=True)
    assert net.genotype.global_skip and not DLSRNet("DLSR", mid_channels=4).genotype.global_skip
    x = torch.rand(1, 3, 15, 17)
    bicubic = torch.nn.functional.interpolate(x, scale_factor=scale, mode="bicubic")
    torch.testing.assert_close(net(x), bicubic)


@torch.no_grad()
def test_with_global_skip_its_own_part_sees_less_brightness():
    torch.manual_seed(0)
    net, plain = (DLSRNet("DLSR", mid_channels=4, global_skip=skip) for skip in (True, False))
    net.load_state_dict(plain.state_dict())
    x = torch.rand(1, 3, 15, 17)
    bicubic = torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic")
    torch.testing.assert_close(net(x), plain(x - 0.45) + bicubic)
