import mmagic.models  # noqa: F401  (registers EDSRNet and MSRResNet)
import pytest
import torch

from mmsrnas.genotypes import GenotypeError
from mmsrnas.models import DRNNet
from mmsrnas.models.drn.official import translate_official_keys
from mmsrnas.pruning import PrunedNet, find_sites, full_genotype, remove_channels
from mmsrnas.pruning.surgery import _say_sizes
from mmsrnas.registry import MODELS

SMALL = dict(upscale_factor=4, num_blocks=2, mid_channels=8)
NETS = [
    dict(type="mmsrnas.DRNNet", **SMALL),
    dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=8, num_blocks=3),
    dict(type="MSRResNet", in_channels=3, out_channels=3, mid_channels=8, num_blocks=3),
]


def zero_the_rest(net, sites, kept):
    """The same network with the inputs of the dropped channels at zero."""
    for site, channels in zip(sites, kept, strict=True):
        mask = torch.zeros(site.width)
        mask[channels] = 1
        net.get_submodule(site.consumer).weight.data.mul_(mask[:, None, None])


def random_channels(sites):
    return [
        torch.randperm(s.width)[: max(1, s.width // 3 + i)].sort().values
        for i, s in enumerate(sites)
    ]


@torch.no_grad()
def test_weights_and_outputs_equal_the_released_surgery(reference):
    reference = reference("prune_surgery_x4")
    net, dump = reference.net, reference.dump
    sites = find_sites(net)
    kept = [mask.nonzero().flatten() for mask in dump["masks"]]
    remove_channels(net, sites, kept)
    expected = translate_official_keys(dump["primal_pruned"])
    assert net.state_dict().keys() == expected.keys()
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
    for image, target in zip(net(dump["lr"][0] / 255, pyramid=True), dump["sr"], strict=True):
        torch.testing.assert_close(255 * image, target, rtol=0, atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("cfg", NETS, ids=lambda cfg: cfg["type"])
def test_pruned_network_equals_the_masked_one_and_loads_into_a_built_one(cfg):
    torch.manual_seed(0)
    net = MODELS.build(cfg).double()
    sites = find_sites(net)
    kept = random_channels(sites)
    genotype = full_genotype(net, cfg).replace(widths=tuple(len(k) for k in kept))
    zero_the_rest(net, sites, kept)
    x = torch.rand(1, 3, 12, 14, dtype=torch.double)
    masked = net(x)
    remove_channels(net, sites, kept)
    torch.testing.assert_close(net(x), masked, rtol=0, atol=1e-9)
    built = MODELS.build(dict(type="mmsrnas.PrunedNet", genotype=genotype.to_dict()))
    assert built.genotype == genotype
    built.double().load_state_dict(net.state_dict(), strict=True)
    torch.testing.assert_close(built(x), masked, rtol=0, atol=1e-9)
    assert type(built) is type(net)


def test_order_of_the_sites_of_drn_is_that_of_the_released_configs():
    consumers = [site.consumer for site in find_sites(DRNNet(**SMALL))]
    assert consumers == [
        "down_blocks.0.conv2",
        "down_blocks.1.conv2",
        "up_blocks.0.blocks.0.conv2",
        "up_blocks.0.blocks.1.conv2",
        "up_blocks.0.reduce",
        "up_blocks.1.blocks.0.conv2",
        "up_blocks.1.blocks.1.conv2",
        "up_blocks.1.reduce",
    ]


@pytest.mark.parametrize("cfg", NETS, ids=lambda cfg: cfg["type"])
def test_convolutions_say_what_they_have_and_stay_trainable_or_frozen(cfg):
    """``in_channels`` and ``out_channels`` feed exporters and counters, not the forward pass."""
    net = MODELS.build(cfg)
    sites = find_sites(net)
    for index, site in enumerate(sites):
        for name in (site.producer, site.consumer):
            net.get_submodule(name).requires_grad_(index % 2 == 0)
    kept = random_channels(sites)
    remove_channels(net, sites, kept)
    for index, (site, channels) in enumerate(zip(sites, kept, strict=True)):
        producer, consumer = map(net.get_submodule, (site.producer, site.consumer))
        assert producer.out_channels == producer.weight.shape[0] == site.group * len(channels)
        assert producer.bias is None or len(producer.bias) == producer.out_channels
        assert consumer.in_channels == consumer.weight.shape[1] == len(channels)
        assert consumer.out_channels == consumer.weight.shape[0]
        params = [*producer.parameters(), *consumer.parameters()]
        assert all(param.requires_grad is (index % 2 == 0) and param.is_leaf for param in params)
    assert [site.width for site in find_sites(net)] == [len(channels) for channels in kept]
    net(torch.rand(1, 3, 6, 7)).sum().backward()
    trained = [param for param in net.parameters() if param.requires_grad]
    unused = [param for param in trained if param.grad is None]
    # Inference of a DRN leaves out the outputs at the lower levels.
    assert len(unused) == (4 if cfg["type"] == "mmsrnas.DRNNet" else 0)


def test_unknown_networks_and_misfits_are_named():
    with pytest.raises(ValueError, match="Sequential has no pair of convolutions in a block"):
        find_sites(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.Conv2d(8, 3, 1)))
    good = full_genotype(MODELS.build(NETS[1]), NETS[1])
    for changes, message in (
        (dict(full_widths=(8, 8), widths=(4, 4)), "2 sites, this EDSRNet has 3"),
        (dict(architecture="NoNet"), "there is no network 'NoNet'"),
        (dict(arguments=(("num_blocks", 3),)), "EDSRNet cannot be built with them .*TypeError"),
        (dict(arguments=(("num_blocks", 10**6),)), "num_blocks=1000000 is too large"),
        (dict(arguments=(("no", 3),)), "EDSRNet cannot be built with them"),
    ):
        with pytest.raises(GenotypeError, match=message):
            PrunedNet(good.replace(**changes))


def test_depthwise_convolutions_say_what_they_have():
    """With two outputs per channel, and transposed."""
    wide, transposed = (
        torch.nn.Conv2d(4, 8, 3, groups=4),
        torch.nn.ConvTranspose2d(8, 8, 3, groups=8),
    )
    for conv in (wide, transposed):
        conv.weight = torch.nn.Parameter(conv.weight[:4])
        _say_sizes(conv)
    assert (wide.groups, wide.in_channels, wide.out_channels) == (2, 2, 4)
    assert (transposed.groups, transposed.in_channels, transposed.out_channels) == (4, 4, 4)
