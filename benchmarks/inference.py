"""Memory and speed of inference: ``python benchmarks/inference.py``.

Three parts: ``--memory`` (largest resident set of a process that restores one large image and
writes it as PNG), ``--tiles`` (time of tiles against an image in one piece) and ``--fast`` (every
installed runtime against plain eager torch: float32, NCHW, gradients recorded). Times are CPU times
of one thread, all of one part in one run.
"""

import argparse
import importlib.util
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmsrnas.apis.export import Photographs
from mmsrnas.apis.generator import folded
from mmsrnas.apis.inference import Picture, Restorer, write_picture
from mmsrnas.apis.inference.restorer import MAX_MEMORY
from mmsrnas.apis.inference.runtimes import FASTEST
from mmsrnas.apis.inference.tiling import Tile, split
from mmsrnas.costs import count_multi_adds
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.models import DLSRNet, DRNNet, ElasticNet, HiNASNet, HNASNet

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "dlsr": lambda: DLSRNet("DLSR", 2),
    "dlsr_x4": lambda: DLSRNet("DLSR", 4),
    "hnas": lambda: HNASNet("HNAS_B", 2),
    "hinas": lambda: HiNASNet("HINAS_SR", upscale_factor=2),
    "denoise": lambda: HiNASNet("HINAS_DENOISE", "denoise", 1, 1),
    "drn": lambda: DRNNet(4, num_blocks=4),
    "elastic": lambda: folded(ElasticNet(ElasticGenotype(("conv_3x3",) * 8, (16,) * 8))),
}
RUNTIMES = ("torch", *(name for name in FASTEST if importlib.util.find_spec(name)))


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Fastest CPU time of a call."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


class Sampled(Restorer):
    """A restorer that runs the network on every n-th tile alone, and repeats pixels in the others.

    Its memory is that of all tiles, which are of one size.
    """

    every = done = 0

    def _restore_tile(self, pixels: np.ndarray, tile: Tile, restored: np.ndarray) -> None:
        self.done += 1
        if self.done % self.every == 1 % self.every:
            super()._restore_tile(pixels, tile, restored)
            return
        scale, (rows, columns) = self.model.upscale_factor, tile.core
        wide = (slice(s.start * scale, s.stop * scale) for s in (rows, columns))
        restored[tuple(wide)] = pixels[rows, columns].repeat(scale, 0).repeat(scale, 1)


def memory(name: str, runtime: str, size: tuple[int, int], every: int) -> None:
    """Restores a random image, and says how much memory the process ever took."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    restorer = Sampled(NETWORKS[name](), runtime=runtime)
    restorer.every = every
    start = time.monotonic()
    restored = restorer(image)
    peaks = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]
    with tempfile.TemporaryDirectory() as folder:
        write_picture(Picture(restored), Path(folder) / "large.png")
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    print(
        f"{name}, {runtime}, {size[1]}x{size[0]} x2: at most {peaks[0]:.2f} GiB, with the PNG "
        f"{peaks[1]:.2f}; {time.monotonic() - start:.0f} s, the network on one of {every} tiles; "
        f"{restorer.halo}"
    )


def tiles(name: str, runtime: str, side: int | None) -> None:
    """Compares an image in tiles with one in one piece, per pixel.

    The tiles are those of an image that has 12000x8000 pixels when it is restored, and their time
    is that of one; the image in one piece has 1.25 times their height and width.
    """
    restorer = Restorer(NETWORKS[name](), max_memory=64 << 30, runtime=runtime)
    scale = restorer.model.upscale_factor
    large = np.empty((8000 // scale, 12000 // scale, restorer.model.in_channels), np.uint8)
    restorer.max_memory, restorer.tile = MAX_MEMORY, side
    parts = list(split(large.shape[:2], restorer._tile_for(large), restorer.halo.size))
    restorer.max_memory, restorer.tile = 64 << 30, None
    window = tuple(span.stop - span.start for span in parts[0].outer)
    random = np.random.default_rng(0)
    times = {}
    whole = (window[0] * 5 // 4, window[1] * 5 // 4)
    for size in (window, whole):
        image = random.integers(0, 256, (*size, large.shape[2]), np.uint8)
        times[size] = seconds(lambda image=image: restorer(image), 2)
    area = large.shape[0] * large.shape[1]
    computed = len(parts) * window[0] * window[1] / area
    tiled, one = times[window] * len(parts) / area, times[whole] / (whole[0] * whole[1])
    print(
        f"{name}, {runtime}: {len(parts)} tiles of {window[1]}x{window[0]} compute {computed:.2f} "
        f"times the pixels: {tiled * 1e6:.2f} us per pixel; {whole[1]}x{whole[0]} in one piece "
        f"{one * 1e6:.2f} ({tiled / one - 1:+.0%})",
        flush=True,
    )


def fast(set5: str) -> None:
    """Compares the runtimes with plain eager torch."""
    network = DLSRNet("DLSR", 4).eval()
    image = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    work = 2 * count_multi_adds(network, (3, 180, 320))
    a, b = torch.rand(2, 1536, 1536)
    peak = 2 * 1536**3 / seconds(lambda: a @ b)
    exact = Restorer(network, precision="fp32", runtime="torch", max_memory=64 << 30)
    pictures = [
        (lr[0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        for lr, _ in Photographs(set5, 4, 3).pairs
    ]
    texts = {}
    for runtime in RUNTIMES:
        restorer = Restorer(network, max_memory=64 << 30, runtime=runtime)
        time_of = seconds(lambda r=restorer: r(image))
        pairs = [(exact(p).astype(int), restorer(p)) for p in pictures]
        changed = np.mean([np.mean(one != other) for one, other in pairs])
        most = max(np.abs(one - other).max() for one, other in pairs)
        what = f"{runtime} ({restorer.dtype}), on Set5 {changed:.4%} of the values differ by {most}"
        texts[what] = time_of
    # Last: what it keeps of the system's memory makes whatever comes after it faster.
    texts["plain eager"] = plain = seconds(lambda: network(x))
    print(f"matrix product of 1536: {peak / 1e9:.0f} GFLOP/s; DLSR x4 at that: {work / peak:.2f} s")
    for what, value in texts.items():
        rate = f"{work / value / 1e9:.0f} GFLOP/s, {plain / value:.2f} times plain eager"
        print(f"{value:.2f} s, {rate}: {what}")


def main() -> None:
    """Runs the parts that are asked for; speed where none is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--memory", choices=list(NETWORKS), help="minutes")
    parser.add_argument(
        "--runtime", choices=RUNTIMES, default="torch", help="of --memory and --tiles"
    )
    parser.add_argument("--every", type=int, default=1, help="the network on one of so many tiles")
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 6000), help="HEIGHT WIDTH")
    parser.add_argument("--tiles", nargs="+", choices=list(NETWORKS), help="half a minute each")
    parser.add_argument("--side", type=int, help="of --tiles, instead of that of --max-memory")
    parser.add_argument("--fast", action="store_true", help="half a minute")
    parser.add_argument("--set5", default="../shared/data/bench/Set5/HR", help="of --fast")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.memory:
        memory(args.memory, args.runtime, tuple(args.size), args.every)
        return
    for name in args.tiles or ():
        tiles(name, args.runtime, args.side)
    if args.fast or not args.tiles:
        fast(args.set5)


if __name__ == "__main__":
    main()
