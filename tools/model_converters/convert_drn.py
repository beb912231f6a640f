"""Converts released weights of DRN or DRC: ``convert_drn.py DRNS4x.pt drn_s_x4.pth``.

Scale, size and inner widths are read from the weights. The result fits ``DualRegressionEditor``
(and, without dual networks, any editor), and holds the genotype, from which it can be rebuilt. For
a pruned network the genotype is written beside it as well.
"""

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

import mmsrnas
from mmsrnas.compat import CheckpointError, load_tensors
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import DRCGenotype
from mmsrnas.models import DRNNet, DualNet
from mmsrnas.models.drn.official import translate_official_dual_keys, translate_official_keys
from mmsrnas.pruning import find_sites

State = dict[str, Tensor]


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description="Convert released weights of DRN or DRC")
    parser.add_argument("source", type=Path, help="released network, e.g. DRNS4x.pt")
    parser.add_argument("target", type=Path, help="checkpoint to write, .pth")
    parser.add_argument("--dual", type=Path, help="released list of dual networks")
    args = parser.parse_args()
    for path in filter(None, (args.source, args.dual)):
        if not path.is_file():
            parser.error(f"{path} does not exist")
    return args


def settings(state: State) -> dict[str, int]:
    """Arguments of ``DRNNet``, read from converted weights."""
    indices = [re.match(r"up_blocks\.(\d+)\.blocks\.(\d+)\.", key) for key in state]
    levels = {int(m[1]) for m in indices if m}
    blocks = {int(m[2]) for m in indices if m}
    if "conv_first.weight" not in state or not levels:
        raise ValueError("these are not the weights of a DRN")
    return dict(
        upscale_factor=2 ** (max(levels) + 1),
        num_blocks=max(blocks) + 1,
        mid_channels=len(state["conv_first.weight"]),
    )


def convert(official: State) -> tuple[State, DRCGenotype]:
    """Converts a network.

    Args:
        official: ``state_dict`` of the released network.

    Returns:
        The weights of ``DRNNet`` and the genotype, which says its arguments and widths.

    Raises:
        ValueError: The weights are not those of a DRN.
    """
    try:
        state = translate_official_keys(official)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    kwargs = settings(state)
    with torch.device("meta"):
        full = DRNNet(**kwargs)
    widths = tuple(state[f"{site.consumer}.weight"].shape[1] for site in find_sites(full))
    genotype = full.genotype.replace(widths=widths)
    DRNNet(genotype=genotype).load_state_dict(state, strict=True)
    return state, genotype


def convert_duals(official: list[State], upscale_factor: int) -> State:
    """Converts the dual networks of a network of a given scale.

    Raises:
        ValueError: They are none, or of another scale.
    """
    levels = upscale_factor.bit_length() - 1
    if not isinstance(official, list) or len(official) != levels:
        found = (
            f"{len(official)} of them" if isinstance(official, list) else type(official).__name__
        )
        raise ValueError(
            f"a network of scale x{upscale_factor} has a list of {levels} dual networks, "
            f"this is {found}: dual networks of another scale?"
        )
    try:
        state = translate_official_dual_keys(official)
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is no entry of a dual network") from None
    width = len(state["0.convs.0.weight"])
    duals = torch.nn.ModuleList(DualNet(2, width) for _ in range(levels))
    duals.load_state_dict(state, strict=True)
    return state


def load(path: Path) -> State | list[State]:
    """Reads tensors, and nothing that could run code."""
    try:
        return load_tensors(path)
    except (CheckpointError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None


def main() -> None:
    """Converts the files and says how to use the result."""
    args = parse_args()
    weights: State = {}
    source = args.source
    try:
        state, genotype = convert(load(source))
        kwargs = dict(genotype.arguments)
        weights |= {f"generator.{key}": tensor for key, tensor in state.items()}
        if args.dual:
            source = args.dual
            duals = convert_duals(load(source), kwargs["upscale_factor"])
            weights |= {f"dual_networks.{key}": tensor for key, tensor in duals.items()}
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f"{source}: {error}") from None
    args.target.parent.mkdir(parents=True, exist_ok=True)
    meta = {"mmsrnas": mmsrnas.__version__, "genotype": genotype.to_dict()}
    with atomic_write(args.target) as partial:
        torch.save({"meta": meta, "state_dict": weights}, partial)
    options = ", ".join(f"{key}={value}" for key, value in kwargs.items())
    if genotype.widths != genotype.full_widths:
        file = args.target.with_suffix(".json")
        genotype.save(file, {"source": args.source.name})
        options += f", genotype='{file}'"
    print(f"{args.target}: generator=dict(type='mmsrnas.DRNNet', {options})")


if __name__ == "__main__":
    main()
