"""What each export is worth: ``python benchmarks/export_matrix.py``.

Every network of the house in every format: parity with torch, PSNR that the file loses on Set5, and
its time against torch on one thread. The networks are trained for some steps first, so that their
output is an image; int8 is calibrated on the photographs of the training. A row that is refused
says why. Rows that are in the table are kept: delete them to measure again. ``--report`` writes the
table of docs/export.md.
"""

import argparse
import csv
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.apis.export import ExportError, Photographs, export
from mmsrnas.apis.generator import folded
from mmsrnas.apis.inference import load_model
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.models import DLSRNet, DRNNet, ElasticNet, HiNASNet, HNASNet
from mmsrnas.pruning import full_genotype
from mmsrnas.pruning.surgery import PrunedNet
from mmsrnas.registry import MODELS

ROOT = Path(__file__).parents[1]
TABLE, PAGE = ROOT / "benchmarks/results/export_matrix.csv", ROOT / "docs/export.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"
FORMATS = {
    "onnx fp32": ("onnx", "fp32"),
    "onnx fp16": ("onnx", "fp16"),
    "onnx int8": ("onnx", "int8"),
    "openvino": ("xml", "fp32"),
    "ncnn": ("param", "fp32"),
}
COLUMNS = ("network", "format", "psnr", "psnr_loss", "largest_error", "megabytes", "ms_torch")
COLUMNS += ("ms_file", "note")
PATCH, BATCH = 48, 4


def networks() -> dict[str, nn.Module]:
    """The networks, small enough for minutes on one core."""
    init_default_scope("mmagic")
    torch.manual_seed(0)
    edsr = dict(in_channels=3, out_channels=3, mid_channels=16, num_blocks=4, upscale_factor=2)
    chain = ElasticGenotype(("conv_3x3",) * 8, (16,) * 8)
    genotype = full_genotype(MODELS.build(dict(type="EDSRNet", **edsr)), edsr)
    return {
        "DLSR": DLSRNet("DLSR_TINY", 2),
        "HNAS": HNASNet("HNAS_A", 2, mid_channels=8),
        "HiNAS SR": HiNASNet("HINAS_SR", mid_channels=8, upscale_factor=2),
        "HiNAS denoise": HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 8),
        "DRN": DRNNet(2, num_blocks=4, mid_channels=16),
        "pruned EDSR": PrunedNet(genotype.replace(widths=tuple(12 for _ in genotype.widths))),
        "elastic": ElasticNet(chain, reparameterized=True),
    }


def train(network: nn.Module, pictures: Photographs, steps: int) -> None:
    """Fits random patches of the photographs for some steps."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, eps=1e-8 / 255)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    generator = torch.Generator().manual_seed(0)

    def draw(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    network.train()
    for _ in range(steps):
        patches = []
        for lr, hr in (pictures.pairs[draw(len(pictures.pairs))] for _ in range(BATCH)):
            scale = hr.shape[-1] // lr.shape[-1]
            top, left = (draw(side - PATCH + 1) for side in lr.shape[2:])
            rows, columns = slice(top, top + PATCH), slice(left, left + PATCH)
            wide = (slice(span.start * scale, span.stop * scale) for span in (rows, columns))
            patches.append((lr[..., rows, columns], hr[(..., *wide)] / 255))
        lr, hr = (torch.cat(part) for part in zip(*patches, strict=True))
        optimizer.zero_grad()
        (network(lr) - hr).abs().mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval()


def measure(args: argparse.Namespace) -> None:
    """Adds the rows that the table lacks."""
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    there = {(row["network"], row["format"]) for row in rows()}
    for name, network in networks().items():
        missing = [f for f in args.formats if (name, f) not in there]
        if not missing or (args.networks and name not in args.networks):
            continue
        kind = (1, 1) if name == "HiNAS denoise" else (2, 3)
        weights = args.out / f"{name.replace(' ', '_')}_{args.steps}.pth"
        if not weights.is_file():
            train(network, Photographs(args.photos, *kind), args.steps)
            torch.save(network.state_dict(), weights)
        network.load_state_dict(torch.load(weights, weights_only=True))
        network = folded(network)
        for kind_of_file in missing:
            row = row_of(name, network, kind_of_file, args, Photographs(args.set5, *kind))
            print(row, flush=True)
            with open(TABLE, "a", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerow(row)


def row_of(
    name: str, network: nn.Module, kind: str, args: argparse.Namespace, pictures: Photographs
) -> dict[str, object]:
    """One export and what it is worth, or why it was refused."""
    suffix, precision = FORMATS[kind]
    border = 0 if "denoise" in name else 2

    def run(image: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return network(image)

    exact = pictures.psnr(run, border)
    row: dict[str, object] = {"network": name, "format": kind, "psnr": f"{exact:.2f}"}
    path = args.out / f"{name.replace(' ', '_')}_{precision}.{suffix}"
    try:
        report = export(network, path, precision, args.photos, timed=True)
    except ExportError as error:
        return row | {"note": str(error).replace(str(path), path.name)}
    assert report.milliseconds
    torch_ms, file_ms = report.milliseconds
    return row | {
        "psnr_loss": f"{exact - pictures.psnr(load_model(path).run, border):.4f}",
        "largest_error": f"{report.largest_error:.0e}",
        "megabytes": f"{report.bytes / 1e6:.2f}",
        "ms_torch": f"{torch_ms:.1f}",
        "ms_file": f"{file_ms:.1f}",
        "note": report.notes,
    }


def rows() -> list[dict[str, str]]:
    """The committed rows, by network and format."""
    order = list(FORMATS)
    with open(TABLE, newline="") as file:
        found = list(csv.DictReader(file))
    return sorted(found, key=lambda row: (row["network"], order.index(row["format"])))


def table() -> str:
    """The rows as Markdown."""
    lines = [
        "| network | file | PSNR lost, dB | differs by | MB | torch / file | |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for row in rows():
        cells = [f"{row['network']}, {row['psnr']} dB", row["format"]]
        cells += [row["psnr_loss"].replace("-0.0000", "0.0000") or "-"]
        cells += [row["largest_error"] or "-", row["megabytes"] or "-"]
        ratio = float(row["ms_torch"]) / float(row["ms_file"]) if row["ms_file"] else None
        cells += [f"{ratio:.2f}" if ratio else "-", row["note"]]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures, or writes the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", default="../shared/data/train/photos", help="of the training")
    parser.add_argument("--set5", default="../shared/data/bench/Set5/HR", help="of the loss")
    parser.add_argument("--steps", type=int, default=300, help="of the training")
    parser.add_argument("--networks", nargs="+", help="by name; all if left out")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--out", type=Path, default=Path("work_dirs/export_matrix"))
    parser.add_argument("--report", action="store_true", help="write the page")
    args = parser.parse_args()
    if not args.report:
        measure(args)
        return
    before, after = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after.split(END)[1]}")


if __name__ == "__main__":
    main()
