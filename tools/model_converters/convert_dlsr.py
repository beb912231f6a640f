"""Converts a released DLSR checkpoint: ``convert_dlsr.py SRC DST --genotype DLSR``."""

import argparse
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import mmsrnas
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.datasets.image_io import read_image
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import DLSRGenotype, load_genotype
from mmsrnas.models import DLSRNet
from mmsrnas.models.dlsr.official import translate_official_keys, translated_ops


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Convert a released DLSR checkpoint")
    parser.add_argument("src", type=Path, help="checkpoint of the released code")
    parser.add_argument("dst", type=Path, help="checkpoint to write")
    parser.add_argument(
        "--genotype",
        required=True,
        help="the network that the weights belong to, e.g. DLSR, DLSR_TINY or DLSR_PARA: the "
        "weights show their operations but not which cells are connected",
    )
    proof = parser.add_mutually_exclusive_group()
    proof.add_argument(
        "--reference",
        nargs=2,
        type=Path,
        metavar=("LR", "SR"),
        help="an LR image, and what the released code with these weights made of it: the only "
        "proof of the connections",
    )
    proof.add_argument(
        "--trust-connections",
        action="store_true",
        help="skip the check that no other connections suit the weights better",
    )
    return parser.parse_args()


def convert(state: Mapping[str, Tensor], genotype: DLSRGenotype) -> DLSRNet:
    """Builds the network of a released ``state_dict``.

    Args:
        state: Weights by the released names.
        genotype: The network they belong to; the width is read from the weights.

    Returns:
        The network with its weights.

    Raises:
        ValueError: The weights are not a DLSR network, or have other operations.
    """
    try:
        ours = translate_official_keys(state)
    except KeyError as error:
        raise ValueError(f"not the weights of a released DLSR network: {error.args[0]}") from None
    if "alpha" in ours or any(".ops.0.ops." in key for key in ours):
        raise ValueError("these are the weights of a supernet; a network is converted here.")
    if (ops := translated_ops(ours)) != genotype.ops:
        raise ValueError(
            f"--genotype: it has the operations {genotype.ops}, the weights are those of {ops}."
        )
    channels = ours["conv_first.weight"].size(0)
    in_channels = ours["conv_first.weight"].size(1)
    scale = round((ours["upsample.0.weight"].size(0) / in_channels) ** 0.5)
    net = DLSRNet(genotype, scale, channels, in_channels)
    net.load_state_dict(ours)
    return net.eval()


def check_connections(net: DLSRNet) -> None:
    """Checks that no other choice for one cell suits the weights better.

    A trained network returns an image that shrinks to its input. With another connection it
    still runs, because all connections have the same shapes, but usually keeps its input less well.
    That finds most wrong genotypes and proves none: of the weights of the tiny network, four wrong
    connections pass. See :func:`check_reference`.

    Args:
        net: The converted network.

    Raises:
        ValueError: Another connection keeps the input better.
    """
    claimed = net.architecture
    expected = input_error(net)
    for connections in one_cell_changed(claimed.connections):
        net.architecture = claimed.replace(connections=connections)
        error = input_error(net)
        if error < expected:
            raise ValueError(
                f"--genotype: the connections {claimed.connections} do not seem to belong to "
                f"these weights; {connections} keep a test image better (mean square "
                f"{error:.2e} against {expected:.2e}). Check the name of the genotype, or pass "
                "--trust-connections if you are sure."
            )
    net.architecture = claimed


@torch.no_grad()
def check_reference(net: DLSRNet, lr: Path, sr: Path) -> None:
    """Compares the network with the released one on an image.

    Args:
        net: The converted network.
        lr: Image file that the released code read.
        sr: Image file that it wrote.

    Raises:
        ValueError: They differ by more than the last bit somewhere.
    """
    image, expected = (torch.from_numpy(read_image(path)).permute(2, 0, 1) for path in (lr, sr))
    found = (net(image[None].float() / 255)[0] * 255).round().clamp(0, 255)
    if found.shape != expected.shape or (found - expected).abs().max() > 1:
        raise ValueError(
            f"--genotype: the network makes another image of {lr} than {sr}. Its connections "
            f"{net.genotype.connections} are not those of these weights, or the images are of "
            "other weights."
        )


def one_cell_changed(connections: tuple[tuple[int, int], ...]) -> Iterator[tuple]:
    """Yields the connections with the pair of one cell replaced by every other."""
    for index, pair in enumerate(connections):
        for other in itertools.permutations(range(index + 2), 2):
            if other != pair:
                yield (*connections[:index], other, *connections[index + 1 :])


@torch.no_grad()
def input_error(net: DLSRNet) -> float:
    """Mean square difference of a drawn image and its shrunk super-resolution."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    disc = ((x - 24) ** 2 + (y - 24) ** 2 < 200).float()
    waves = [0.5 + 0.4 * torch.sin(x / 7 + y / 11), 0.5 + 0.4 * torch.cos(x / 5 - y / 9)]
    image = torch.stack([*waves, 0.2 + 0.6 * disc])[None]
    shrunk = F.interpolate(net(image), image.shape[2:], mode="bicubic", antialias=True)
    return F.mse_loss(shrunk, image).item()


def main() -> None:
    """Converts and writes."""
    args = parse_args()
    genotype = load_genotype(args.genotype, method="dlsr")
    try:
        net = convert(read_checkpoint(args.src, "SRC").weights, genotype)
        if args.reference:
            check_reference(net, *args.reference)
        elif not args.trust_connections:
            check_connections(net)
    except ValueError as error:
        raise SystemExit(f"{args.src}: {error}") from None
    meta = {"mmsrnas": mmsrnas.__version__, "genotype": net.genotype.to_dict()}
    state = {f"generator.{key}": value for key, value in net.state_dict().items()}
    args.dst.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.dst) as partial:
        torch.save({"meta": meta, "state_dict": state}, partial)
    scale = net.upsample[1].upscale_factor
    print(f"{args.dst}: DLSR x{scale}, {net.genotype.mid_channels} channels, {net.genotype.ops}")
    if not args.reference:
        print(
            "The weights do not tell which cells are connected: that is taken from --genotype. "
            "--reference LR SR proves it by an output of the released code."
        )


if __name__ == "__main__":
    main()
