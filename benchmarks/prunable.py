"""Which channels of which networks can be pruned: ``python benchmarks/prunable.py``.

Builds every super-resolution and denoising network below at a small size, finds its channel groups,
tries each, and writes the table of docs/prunable.md. ``--check`` compares instead.
"""

import argparse
from pathlib import Path
from typing import Any

from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.costs import count_params
from mmsrnas.genotypes import load_genotype
from mmsrnas.pruning import Verified, verified_groups
from mmsrnas.registry import MODELS

PAGE = Path(__file__).parents[1] / "docs/prunable.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"


def _small(genotype: str) -> dict[str, Any]:
    found: Any = load_genotype(genotype)
    return found.with_num_cells(3).replace(mid_channels=8).to_dict()


RGB = dict(in_channels=3, out_channels=3)
REGISTERED: dict[str, dict[str, Any]] = {
    "EDSRNet": RGB | dict(mid_channels=16, num_blocks=2, upscale_factor=2),
    "MSRResNet": RGB | dict(mid_channels=16, num_blocks=2, upscale_factor=4),
    "RDNNet": RGB
    | dict(mid_channels=16, num_blocks=2, upscale_factor=2, num_layers=3, channel_growth=16),
    "RRDBNet": RGB | dict(mid_channels=16, num_blocks=1, growth_channels=8, upscale_factor=2),
    "SRCNNNet": dict(channels=(3, 16, 8, 3), upscale_factor=2),
    "NAFNet": dict(
        img_channels=3, mid_channels=16, enc_blk_nums=[1], middle_blk_num=1, dec_blk_nums=[1]
    ),
    "SwinIRNet": dict(
        img_size=8,
        window_size=8,
        depths=[1],
        embed_dim=12,
        num_heads=[2],
        upscale=2,
        upsampler="pixelshuffledirect",
    ),
    "mmsrnas.DRNNet": dict(upscale_factor=4, num_blocks=1, mid_channels=8),
    "mmsrnas.DLSRNet": dict(genotype=_small("DLSR_TINY")),
    "mmsrnas.HNASNet": dict(genotype=_small("HNAS_A")),
    "mmsrnas.HiNASNet": dict(genotype="HINAS_DENOISE", mid_channels=8),
    "mmsrnas.ElasticNet": dict(genotype="ELASTIC_LARGE"),
}
"""Networks that a config can name, small."""

SPANDREL: dict[str, dict[str, Any]] = {
    "Compact": dict(num_feat=16, num_conv=3, upscale=4),
    "SPAN": dict(num_in_ch=3, num_out_ch=3, feature_channels=16),
    "DnCNN": dict(in_nc=3, out_nc=3, nc=16, nb=4),
    "RCAN": dict(scale=2, n_resgroups=1, n_resblocks=1, n_feats=16, reduction=4),
    "SAFMN": dict(dim=16, n_blocks=2, upscaling_factor=2),
    "PLKSR": dict(dim=16, n_blocks=2, upscaling_factor=2),
    "MoSR": dict(n_block=2, dim=16, upscale=2),
}
"""Those of spandrel by ``mmsrnas.SpandrelNet``."""

OTHER_INPUTS = {
    "LIIFEDSRNet, LIIFRDNNet": "read coordinates beside the image",
    "TTSRNet": "reads features of a reference image",
    "DICNet": "makes landmarks beside the image",
    "BasicVSRNet and the other networks for video": "read sequences of images",
}
"""Generators of mmagic that are left out, and why."""


def configs() -> dict[str, dict[str, Any]]:
    """The config of each network of the table, by name."""
    init_default_scope("mmagic")
    ours = {name: dict(type=name, **kwargs) for name, kwargs in REGISTERED.items()}
    peer = "mmsrnas.SpandrelNet"
    return ours | {
        f"{name} (spandrel)": dict(type=peer, architecture=name, **kwargs)
        for name, kwargs in SPANDREL.items()
    }


def row(name: str, net: nn.Module, found: Verified) -> str:
    """The line of a network."""
    owned = {part.name for group in found.groups for part in group.slices}
    params = sum(p.numel() for n, p in net.named_parameters() if n in owned)
    reasons = sorted({_reason(text) for text in found.left_alone})
    share = f"{params / count_params(net):.0%}"
    verdict = "partly" if reasons else "all"
    verdict = verdict if found.groups else "no"
    name = name.removeprefix("mmsrnas.")
    return f"| {name} | {verdict} | {len(found.groups)} | {share} | {'; '.join(reasons) or '-'} |"


def _reason(text: str) -> str:
    """Why channels stay, without the place."""
    text = text.partition(" channels) ")[2].partition(" in '")[0]
    return text.partition(": ")[0] if text.startswith("its removal fails") else text


def table() -> str:
    """The whole table."""
    lines = [
        "| network | prunable | channel groups | parameters in them | what stays |",
        "|---|---|---:|---:|---|",
    ]
    for name, cfg in configs().items():
        net = MODELS.build(cfg)
        lines.append(row(name, net, verified_groups(net)))
    lines += [f"| {name} | no | - | - | {why} |" for name, why in OTHER_INPUTS.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes or checks the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where the page differs")
    args = parser.parse_args()
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    new = head + BEGIN + table() + END + rest.split(END)[1]
    if args.check and new != text:
        raise SystemExit(f"error: {PAGE.name} differs: run python benchmarks/prunable.py")
    PAGE.write_text(new)


if __name__ == "__main__":
    main()
