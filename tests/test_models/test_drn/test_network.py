import pytest
import torch
import torch.nn.functional as F

from mmsrnas.apis.onnx import export_checked_onnx
from mmsrnas.genotypes import DRCGenotype, GenotypeError, load_genotype
from mmsrnas.models import DRNNet, DualNet, DualRegressionLoss
from mmsrnas.models.drn.official import translate_official_dual_keys, translate_official_keys

REFERENCES = {"drn_x4_nb2_nf8": (4, 2, 8), "drn_x8_nb1_nf4": (8, 1, 4)}
SMALL = dict(upscale_factor=4, num_blocks=2, mid_channels=8)
SMALL_ARGUMENTS = tuple(sorted(SMALL.items()))
FULL_WIDTHS = (8, 16, 32, 32, 32, 32, 32, 32)


def load(path):
    return torch.load(path, weights_only=False)


def count(net):
    return sum(p.numel() for p in net.parameters())


def build(dump, scale, blocks, channels):
    net = DRNNet(scale, blocks, channels, train_mean_shift=True)
    net.load_state_dict(translate_official_keys(dump["primal"]), strict=True)
    duals = torch.nn.ModuleList(DualNet(2, channels) for _ in dump["duals"])
    duals.load_state_dict(translate_official_dual_keys(dump["duals"]), strict=True)
    return net, duals


def losses(net, duals, lrs, hr):
    """Terms of the released loss, on images in 0..255."""
    images = net(lrs[0] / 255, pyramid=True)
    primal = [255 * F.l1_loss(o, t / 255) for o, t in zip(images, [*lrs, hr], strict=True)]
    dual = 255 * DualRegressionLoss(1.0)(duals, images[1:], [lr / 255 for lr in lrs])
    return images, primal, dual


@pytest.fixture(params=REFERENCES, scope="module")
def reference(request, refs):
    dump = load(refs / "drn" / f"{request.param}.pt")
    return dump, *build(dump, *REFERENCES[request.param])


@torch.no_grad()
def test_outputs_and_loss_terms_equal_the_released_code(reference):
    dump, net, duals = reference
    images, primal, dual = losses(net, duals, dump["lr"], dump["hr"])
    for image, expected in zip(images, dump["sr"], strict=True):
        torch.testing.assert_close(255 * image, expected, rtol=0, atol=2e-4)
    torch.testing.assert_close(net(dump["lr"][0] / 255), images[-1], rtol=0, atol=0)
    for net2, image, expected in zip(duals, images[1:], dump["sr2lr"], strict=True):
        torch.testing.assert_close(255 * net2(image), expected, rtol=0, atol=2e-4)
    hr_first = [primal[-1], *primal[:-1]]
    assert [t.item() for t in hr_first] == pytest.approx(dump["loss_primary_terms"], rel=1e-6)
    assert sum(primal).item() == pytest.approx(dump["loss_primary"], rel=1e-6)
    assert dual.item() == pytest.approx(dump["loss_dual"], rel=1e-6)
    for image, lr, term, net2 in zip(
        images[1:], dump["lr"], dump["loss_dual_terms"], duals, strict=True
    ):
        ours = DualRegressionLoss(1.0)([net2], [image], [lr / 255]).item()
        assert 255 * ours == pytest.approx(term, rel=1e-6)


def test_gradients_and_one_step_of_adam_equal_the_released_code(reference):
    dump, net, duals = reference
    params = {**dict(net.named_parameters()), **dict(duals.named_parameters(prefix="duals"))}
    before = {name: param.detach().clone() for name, param in params.items()}
    # The released eps is for a loss on 0..255, the loss of the editor is on [0, 1].
    adam = torch.optim.Adam(params.values(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8 / 255)
    _, primal, dual = losses(net, duals, dump["lr"], dump["hr"])
    total = sum(primal) + 0.1 * dual
    assert total.item() == pytest.approx(dump["loss_total"], rel=1e-6)
    (total / 255).backward()
    expected = translate_official_keys(dump["grad_primal"])
    for name, param in net.named_parameters():
        grad, scale = 255 * param.grad, expected[name].abs().max().item()
        torch.testing.assert_close(grad, expected[name], rtol=1e-3, atol=1e-4 * scale + 1e-9)
    expected = translate_official_dual_keys(dump["grad_duals"])
    for name, param in duals.named_parameters():
        torch.testing.assert_close(255 * param.grad, expected[name], rtol=1e-4, atol=1e-4)
    adam.step()
    after = translate_official_keys(dump["primal_after_step"])
    released_duals = translate_official_dual_keys(dump["duals_after_step"])
    after |= {f"duals.{name}": param for name, param in released_duals.items()}
    ours, theirs = (
        torch.cat([(state[name].detach() - before[name]).flatten() for name in params])
        for state in (params, after)
    )
    assert (ours - theirs).norm() <= 1e-4 * theirs.norm()
    _, primal, dual = losses(net, duals, dump["lr"], dump["hr"])
    value = (sum(primal) + 0.1 * dual).item()
    assert value == pytest.approx(dump["loss_total_after_step"], rel=2e-6)
    # The fixture is shared by the tests of this module.
    net.load_state_dict(translate_official_keys(dump["primal"]))
    duals.load_state_dict(translate_official_dual_keys(dump["duals"]))


@torch.no_grad()
def test_pruned_network_equals_the_released_one(refs):
    dump = load(refs / "drn" / "sdrn_x4_nb2_nf8.pt")
    genotype = DRCGenotype("DRNNet", FULL_WIDTHS, tuple(dump["meta"]["config"]))
    net = DRNNet(**SMALL, genotype=genotype)
    net.load_state_dict(translate_official_keys(dump["primal"]), strict=True)
    images = net(dump["lr"][0] / 255, pyramid=True)
    for image, expected in zip(images, dump["sr"], strict=True):
        torch.testing.assert_close(255 * image, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("kwargs", "params"),
    [
        (dict(upscale_factor=4, num_blocks=30, mid_channels=16), 4_804_065),
        (dict(upscale_factor=4, num_blocks=40, mid_channels=20), 9_825_893),
        (dict(upscale_factor=8, num_blocks=30, mid_channels=8), 5_403_000),
        (dict(upscale_factor=8, num_blocks=36, mid_channels=10), 10_004_018),
        (dict(upscale_factor=2, num_blocks=30, mid_channels=16), 606_378),
        (dict(genotype="DRNS_X4_P30"), 3_116_637),
        (dict(genotype="DRNS_X4_P50"), 2_267_417),
        (dict(genotype="DRNS_X4_P70"), 1_427_545),
        (dict(upscale_factor=8, mid_channels=8, genotype="DRNS_X8_P30"), 3_490_832),
        (dict(upscale_factor=8, mid_channels=8, genotype="DRNS_X8_P50"), 2_548_420),
        (dict(upscale_factor=8, mid_channels=8, genotype="DRNS_X8_P70"), 1_572_288),
    ],
)
def test_published_parameter_counts(kwargs, params):
    with torch.device("meta"):
        net = DRNNet(**kwargs)
    assert count(net) == params


@pytest.mark.parametrize(("factor", "channels", "params"), [(2, 16, 864), (4, 16, 3168)])
def test_parameters_of_dual_networks(factor, channels, params):
    assert count(DualNet(factor, channels)) == params


@pytest.mark.parametrize("factor", [2, 3, 4, 6, 8])
def test_dual_network_reaches_the_lr_size_and_is_homogeneous(factor):
    net = DualNet(factor, 4).double()
    x = torch.rand(1, 3, 5 * factor, 7 * factor, dtype=torch.double)
    assert net(x).shape == (1, 3, 5, 7)
    torch.testing.assert_close(net(255 * x), 255 * net(x))


def test_colour_means_are_frozen_unless_asked_for():
    frozen = {name for name, p in DRNNet(**SMALL).named_parameters() if not p.requires_grad}
    assert frozen == {f"{s}_mean.{leaf}" for s in ("sub", "add") for leaf in ("weight", "bias")}


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([0, 16, 32, 32, 32, 32, 32, 32], "'widths.0.': expected `int` >= 1: 0"),
        ([8, 17, 32, 32, 32, 32, 32, 32], "'widths.1.': the site has 16 channels.*got 17"),
        ([8, 16, 32.0, 32, 32, 32, 32, 32], "'widths.2.': expected `int`, got `float`: 32.0"),
        ([8, 16, 32], "expected 8 numbers.*got 3"),
    ],
)
def test_wrong_widths_are_refused(widths, message):
    genotype = dict(architecture="DRNNet", full_widths=list(FULL_WIDTHS), widths=widths)
    with pytest.raises(GenotypeError, match=message):
        DRNNet(**SMALL, genotype=genotype)


def test_genotypes_of_other_networks_are_refused():
    other = load_genotype("DRNS_X4_P30").replace(arguments=tuple(SMALL_ARGUMENTS))
    with pytest.raises(GenotypeError, match="64 sites, this DRNNet has 8"):
        DRNNet(genotype=other)
    with pytest.raises(GenotypeError, match="num_blocks=30, but the network has num_blocks=2"):
        DRNNet(upscale_factor=4, num_blocks=2, genotype="DRNS_X4_P30")
    with pytest.raises(GenotypeError, match="mid_channels=16, but the network has mid_channels=20"):
        DRNNet(4, 30, 20, genotype="DRNS_X4_P30")
    wide = other.replace(full_widths=(9, *FULL_WIDTHS[1:]), widths=FULL_WIDTHS)
    with pytest.raises(GenotypeError, match="site 0 has 9 channels, in this DRNNet it has 8"):
        DRNNet(genotype=wide)
    with pytest.raises(GenotypeError, match="widths of EDSRNet, the network is DRNNet"):
        DRNNet(**SMALL, genotype=DRCGenotype("EDSRNet", (8,), (4,)))
    with pytest.raises(GenotypeError, match="method"):
        DRNNet(**SMALL, genotype="DLSR")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(upscale_factor=3), r"upscale_factor: expected 2, 4 or 8, got 3"),
        (dict(upscale_factor=4.0), r"upscale_factor: expected 2, 4 or 8, got 4\.0"),
        (dict(num_blocks=-1), "num_blocks: expected a number from 0 to 128, got -1"),
        (dict(num_blocks=10**9), "num_blocks: expected a number from 0 to 128, got 1000000000"),
        (dict(mid_channels=2), "mid_channels: x4 needs at least 4"),
        (dict(mid_channels=10**6), "takes at most 1024, got 1000000"),
        (dict(mid_channels="16"), "mid_channels: x4 needs at least 4 .* got '16'"),
        (dict(img_range=0), "img_range: expected a number > 0, got 0"),
    ],
)
def test_wrong_arguments_are_refused_wherever_they_stand(arguments, message):
    with pytest.raises(ValueError, match=message):
        DRNNet(**SMALL | arguments)
    genotype = dict(architecture="DRNNet", full_widths=FULL_WIDTHS, widths=FULL_WIDTHS)
    genotype["arguments"] = sorted((SMALL | arguments).items())
    with pytest.raises(GenotypeError):
        DRNNet(genotype=genotype)


def test_unknown_argument_of_a_genotype_and_scale_of_a_dual_network():
    genotype = dict(architecture="DRNNet", full_widths=FULL_WIDTHS, widths=FULL_WIDTHS)
    genotype["arguments"] = [("blocks", 3)]
    with pytest.raises(GenotypeError, match="DRNNet has no 'blocks'"):
        DRNNet(genotype=genotype)
    with pytest.raises(ValueError, match="product of twos and threes"):
        DualNet(5)


def test_network_says_what_it_is():
    net = DRNNet(**SMALL)
    assert (net.upscale_factor, net.in_channels, net.min_size) == (4, 3, 1)
    assert net(torch.rand(1, 3, 1, 1)).shape == (1, 3, 4, 4)
    assert net.genotype == DRCGenotype("DRNNet", FULL_WIDTHS, FULL_WIDTHS, SMALL_ARGUMENTS)
    assert str(DRNNet(genotype=net.genotype)) == str(net)
    assert DRNNet(genotype="DRNS_X8_P50").upscale_factor == 8
    half = DRNNet(**SMALL, img_range=1.0)
    assert DRNNet(genotype=half.genotype.to_dict()).img_range == 1.0
    with pytest.raises(GenotypeError, match=r"img_range=1.0, but the network has img_range=2"):
        DRNNet(genotype=half.genotype, img_range=2)


def test_published_genotypes_describe_drn_s():
    for scale, channels in ((4, 16), (8, 8)):
        for rate in (30, 50, 70):
            genotype = load_genotype(f"DRNS_X{scale}_P{rate}", "drc")
            assert genotype.widths[0] <= (100 - rate) / 100 * channels + 2
            assert len(genotype.widths) == (scale.bit_length() - 1) * 32


@pytest.mark.parametrize("scale", [2, 4])
def test_exported_network_takes_any_size_and_gives_the_same(tmp_path, scale):
    torch.manual_seed(0)
    net = DRNNet(scale, 1, 8).eval()
    report = export_checked_onnx(net, tmp_path / "net.onnx")
    assert (1, 3, 1, 1) in report.shapes


def test_all_that_is_trained_is_used_by_the_pyramid():
    genotype = DRNNet(**SMALL).genotype.replace(widths=(4, 8, 12, 20, 16, 24, 8, 12))
    net = DRNNet(genotype=genotype)
    images = net(torch.rand(2, 3, 5, 7), pyramid=True)
    assert [image.shape[2:] for image in images] == [(5, 7), (10, 14), (20, 28)]
    sum(image.square().mean() for image in images).backward()
    trained = {name: p.grad for name, p in net.named_parameters() if p.requires_grad}
    assert all(grad is not None and grad.isfinite().all() for grad in trained.values())
