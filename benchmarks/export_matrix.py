"""What each export is worth: ``python benchmarks/export_matrix.py``.

Every network of the house in every format: PSNR loss against torch on the LR images of a folder of
photographs, size, and time against torch on one thread. The networks are trained for some steps
first, so that their output is an image; a row that is refused says why.
"""

import argparse
import csv
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.apis.export import ExportError, Photographs, export
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.models import DLSRNet, DRNNet, ElasticNet, HiNASNet, HNASNet
from mmsrnas.pruning import full_genotype
from mmsrnas.pruning.surgery import PrunedNet
from mmsrnas.registry import MODELS

KINDS = (("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"), ("xml", "fp32"))
COLUMNS = ("network", "format", "psnr_loss", "megabytes", "ms_torch", "ms_file", "note")


def networks() -> dict[str, nn.Module]:
    """The networks, small enough for minutes on one core."""
    init_default_scope("mmagic")
    edsr = dict(in_channels=3, out_channels=3, mid_channels=16, num_blocks=4, upscale_factor=2)
    chain = ElasticGenotype(("conv_3x3",) * 8, (16,) * 8)
    genotype = full_genotype(MODELS.build(dict(type="EDSRNet", **edsr)), edsr)
    return {
        "DLSR": DLSRNet("DLSR_TINY", 2),
        "HNAS": HNASNet("HNAS_A", 2, mid_channels=8),
        "HiNAS SR": HiNASNet("HINAS_SR", mid_channels=8, upscale_factor=2),
        "HiNAS denoise": HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 8),
        "elastic": ElasticNet(chain, reparameterized=True),
        "DRN": DRNNet(2, num_blocks=4, mid_channels=16),
        "pruned EDSR": PrunedNet(genotype.replace(widths=tuple(12 for _ in genotype.widths))),
    }


def train(network: nn.Module, pictures: Photographs, steps: int) -> None:
    """Fits the photographs for some steps."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, eps=1e-8 / 255)
    network.train()
    for step in range(steps):
        lr, hr = pictures.pairs[step % len(pictures.pairs)]
        loss = (network(lr) - hr / 255).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    network.eval()


def main() -> None:
    """Writes the table as CSV and prints it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", default="../shared/data/bench/Set5/HR", help="folder")
    parser.add_argument("--steps", type=int, default=60, help="of the training")
    parser.add_argument("--networks", nargs="+", help="some of them, by name")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/export_matrix"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "matrix.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for name, network in networks().items():
            if args.networks and name not in args.networks:
                continue
            denoise = name == "HiNAS denoise"
            pictures = Photographs(args.photos, 1 if denoise else 2, 1 if denoise else 3)
            torch.manual_seed(0)
            train(network, pictures, args.steps)
            for suffix, precision in KINDS:
                row = row_of(name, network, args.out, suffix, precision, args.photos)
                writer.writerow(row)
                file.flush()
                print(row, flush=True)


def row_of(
    name: str, network: nn.Module, out: Path, suffix: str, precision: str, photos: str
) -> dict[str, object]:
    """One export and what it is worth, or why it was refused."""
    row: dict[str, object] = {"network": name, "format": f"{suffix} {precision}"}
    path = out / f"{name.replace(' ', '_')}_{precision}.{suffix}"
    try:
        report = export(network, path, precision, photos, timed=True)
    except (ExportError, ModuleNotFoundError) as error:
        return row | {"note": str(error)}
    assert report.milliseconds
    torch_ms, file_ms = report.milliseconds
    return row | {
        "psnr_loss": round(report.psnr_loss, 4),
        "megabytes": round(report.bytes / 1e6, 3),
        "ms_torch": round(torch_ms, 1),
        "ms_file": round(file_ms, 1),
        "note": report.notes,
    }


if __name__ == "__main__":
    main()
