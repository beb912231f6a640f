"""Memory and speed of inference: ``python benchmarks/inference.py``.

Three parts: ``--memory`` (largest resident set of a process that restores one large image),
``--tiles`` (time of tiles against the image in one piece) and ``--fast`` (the default against plain
eager torch: float32, NCHW, gradients recorded). Times are CPU times of one thread.
"""

import argparse
import resource
import time

import numpy as np
import torch
from torch import nn

from mmsrnas.apis.inference import Restorer
from mmsrnas.models import DLSRNet, HNASNet


def seconds(call, repeats: int = 3) -> float:  # noqa: ANN001
    """Fastest CPU time of a call."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


class Light(nn.Sequential):
    """Two convolutions of 48 channels: the features of DLSR, and less of its work."""

    upscale_factor, in_channels, min_size = 2, 3, 1

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 48, 3, padding=1), nn.Conv2d(48, 12, 1), nn.PixelShuffle(2))


def memory(height: int, width: int, light: bool) -> None:
    """Restores a random image and says how much memory the process ever took."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    restorer = Restorer(Light() if light else DLSRNet("DLSR_TINY", 2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start = time.monotonic()
    restorer(image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{width}x{height} x2: {peak:.2f} GiB at most ({before:.2f} before), "
        f"{time.monotonic() - start:.0f} s; {restorer.halo}"
    )


def tiles() -> None:
    """Compares tiles with the image in one piece."""
    image = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    networks = {"DLSR_TINY x2": DLSRNet("DLSR_TINY", 2), "HNAS x2": HNASNet("HNAS_A", 2, 8)}
    for name, network in networks.items():
        whole, tiled = Restorer(network, max_memory=64 << 30), Restorer(network, tile=400)
        halo, pixels = tiled.halo.size, image.shape[0] * image.shape[1]
        times = [seconds(lambda r=r: r(image), 2) / pixels * 1e6 for r in (whole, tiled)]
        print(
            f"{name}: {times[0]:.2f} us per pixel in one piece, {times[1]:.2f} in tiles of 400 "
            f"with a halo of {halo} ({times[1] / times[0] - 1:+.0%})"
        )


def fast() -> None:
    """Compares the default with plain eager torch."""
    network = DLSRNet("DLSR", 4).eval()
    image = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    plain = seconds(lambda: network(x))
    restorer = Restorer(network)
    default = seconds(lambda: restorer(image))
    print(
        f"DLSR x4, 320x180: plain eager {plain:.2f} s, default ({restorer.dtype}) {default:.2f} s: "
        f"{plain / default:.2f} times faster, with reading and rounding of the image"
    )


def main() -> None:
    """Runs the parts that are asked for; all where none is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--memory", action="store_true", help="minutes")
    parser.add_argument("--tiles", action="store_true", help="half a minute")
    parser.add_argument("--fast", action="store_true", help="ten seconds")
    parser.add_argument("--light", action="store_true", help="memory of a network with less work")
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 6000), help="HEIGHT WIDTH")
    args = parser.parse_args()
    torch.set_num_threads(1)
    every = not (args.memory or args.tiles or args.fast)
    if args.memory or every:
        memory(*args.size, args.light)
    if args.tiles or every:
        tiles()
    if args.fast or every:
        fast()


if __name__ == "__main__":
    main()
