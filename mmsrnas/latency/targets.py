"""Where a latency holds: runtime, device, threads, precision, memory format and image size."""

import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

__all__ = ["RUNTIMES", "Target", "parse_target"]

RUNTIMES = {
    "torch": "torch",
    "torch.compile": "torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}
"""Runtimes, and the packages that they need."""
DEVICES = ("cpu", "cuda")
PRECISIONS = ("fp32", "bf16", "fp16")
MEMORY_FORMATS = ("channels_last", "contiguous")
EXAMPLE = "say 'onnxruntime:cpu:1' or 'torch:cuda:fp16:channels_last:360x640'"


@dataclass(frozen=True)
class Target:
    """A runtime on a device, and the image that it is timed with.

    Args:
        runtime: ``'torch'``, ``'torch.compile'``, ``'onnxruntime'`` or ``'openvino'``.
        device: ``'cpu'`` or ``'cuda'``.
        threads: Threads on the CPU.
        precision: ``'fp32'``, ``'bf16'`` or ``'fp16'``.
        memory_format: ``'channels_last'`` or ``'contiguous'``; only torch asks for it.
        input_size: ``(height, width)`` of the image that the network gets.

    Raises:
        ValueError: An argument is none of these.
        ModuleNotFoundError: The package of the runtime is not installed.
        RuntimeError: There is no such device.
    """

    runtime: str = "onnxruntime"
    device: str = "cpu"
    threads: int = 1
    precision: str = "fp32"
    memory_format: str = "channels_last"
    input_size: tuple[int, int] = (180, 320)

    def __post_init__(self) -> None:
        for key, known in (
            ("runtime", tuple(RUNTIMES)),
            ("device", DEVICES),
            ("precision", PRECISIONS),
            ("memory_format", MEMORY_FORMATS),
        ):
            if getattr(self, key) not in known:
                raise ValueError(
                    f"target.{key}: expected one of {', '.join(known)}, "
                    f"got {getattr(self, key)!r}; {EXAMPLE}."
                )
        if self.threads < 1 or min(self.input_size) < 1:
            raise ValueError(
                "target: threads, height and width must be at least 1, got "
                f"{self.threads} threads and {self.input_size}."
            )
        if self.runtime in ("onnxruntime", "openvino") and (
            self.device != "cpu" or self.precision != "fp32"
        ):
            raise ValueError(
                f"target: {self.runtime} is measured on the CPU in fp32 here, got "
                f"{self.device} in {self.precision}. Measure elsewhere with the exported file."
            )
        package = RUNTIMES[self.runtime]
        try:
            version(package)
        except PackageNotFoundError:
            raise ModuleNotFoundError(
                f"target.runtime: '{self.runtime}' needs the package '{package}': "
                f"pip install {package}"
            ) from None
        if self.device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("target.device: 'cuda' was asked for, but torch sees no GPU.")

    def __str__(self) -> str:
        height, width = self.input_size
        parts = [self.runtime, self.device]
        if self.device == "cpu":
            parts.append(str(self.threads))
        if self.precision != "fp32":
            parts.append(self.precision)
        if self.runtime.startswith("torch"):
            parts.append(self.memory_format)
        return ":".join([*parts, f"{height}x{width}"])

    def with_input_size(self, input_size: tuple[int, int]) -> "Target":
        """The same target for an image of another ``(height, width)``."""
        return replace(self, input_size=tuple(input_size))

    def fingerprint(self) -> dict[str, Any]:
        """What must be equal for a time to hold: the target, the processor, the versions."""
        package = RUNTIMES[self.runtime]
        processor = torch.cuda.get_device_name() if self.device == "cuda" else _processor()
        target = asdict(self) | {"input_size": list(self.input_size)}
        return target | {"processor": processor, "version": version(package)}


def parse_target(text: "str | Target | None") -> Target:
    """Reads a target from the command line or a config.

    Args:
        text: Parts separated by colons in any order, e.g. ``'onnxruntime:cpu:1'``,
            ``'torch:cpu:2:contiguous:270x480'``; what is left out has the default of
            :class:`Target`.

    Raises:
        ValueError: A part has no meaning.
    """
    if text is None or isinstance(text, Target):
        return text or Target()
    fields: dict[str, Any] = {}
    for part in filter(None, text.lower().split(":")):
        key, value = _field(part, text)
        if key in fields:
            raise ValueError(f"target '{text}': two values for {key}; {EXAMPLE}.")
        fields[key] = value
    return Target(**fields)


def _field(part: str, text: str) -> tuple[str, Any]:
    for key, known in (
        ("runtime", RUNTIMES),
        ("device", DEVICES),
        ("precision", PRECISIONS),
        ("memory_format", MEMORY_FORMATS),
    ):
        if part in known:
            return key, part
    if part.isdecimal():
        return "threads", int(part)
    sides = part.split("x")
    if len(sides) == 2 and all(side.isdecimal() for side in sides):
        return "input_size", (int(sides[0]), int(sides[1]))
    raise ValueError(
        f"target '{text}': '{part}' is no runtime ({', '.join(RUNTIMES)}), device, number of "
        f"threads, precision, memory format, or HEIGHTxWIDTH; {EXAMPLE}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {key.strip(): value.strip() for key, value in fields.items()}
    model = names.get("model name", platform.machine())
    return " ".join([model, *(names[k] for k in ("cpu family", "model") if k in names)])
