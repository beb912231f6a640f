"""Operator tables: what every operator costs on a target, and sums over networks."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs
from scipy.optimize import nnls
from torch import nn

from mmsrnas.files import atomic_write

from .measurement import NoisyMeasurementError, time_calls
from .runtimes import Operator, empty_operator, list_operators, prepare_operator
from .targets import Target

__all__ = ["KINDS", "OperatorTable", "default_table_path"]

KINDS = ("conv", "depthwise", "pointwise", "memory")
TERMS: tuple[str, ...] = (*KINDS, "calls")
"""What a prediction is a weighted sum of: times of the kinds, and the number of operators."""
PRIOR = (1.0,) * len(KINDS) + (0.0,)
SAMPLES = 5
ATTEMPTS = 3
MAX_SPREAD = 0.5
"""Spread of the operators' times, together, as a share of them, that is trusted."""
TRUST_IN_PRIOR = 0.01
"""Weight of an uncalibrated table in the calibration, relative to that of the networks."""


def default_table_path(target: Target) -> Path:
    """Where the table of a target is kept between runs."""
    name = str(target).replace(":", "_")
    return Path(platformdirs.user_cache_dir("mmsrnas")) / "latency" / f"{name}.json"


@dataclass(frozen=True)
class Samples:
    """Milliseconds of an operator, and the distance between the quartiles of its samples."""

    time: float
    spread: float = 0.0


@dataclass
class OperatorTable:
    """Milliseconds of operators on one target.

    The prediction for a network is the sum over its operators, each kind times its scale, plus the
    time to call so many of them. :meth:`calibrate` fits these on a few whole networks.

    Attributes:
        target: What the times hold for.
        times: Milliseconds by the key of an operator.
        scales: Factor of each kind of operator; under ``'calls'``, milliseconds for each operator.
        fingerprint: Target, processor and version at the time of the measurement.
    """

    target: Target
    times: dict[str, float] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=lambda: dict(zip(TERMS, PRIOR, strict=True)))
    fingerprint: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fingerprint = self.fingerprint or self.target.fingerprint()

    @classmethod
    def load(cls, path: str | Path, target: Target, other_target: bool = False) -> "OperatorTable":
        """Reads a table.

        Args:
            path: JSON file that :meth:`save` wrote, on this machine or another.
            target: What it is to hold for.
            other_target: Accept a table of another processor, version or target.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is no table, or of another target.
        """
        try:
            data = json.loads(Path(path).read_text())
            times = {str(key): float(ms) for key, ms in data["times"].items()}
            scales = {term: float(data["scales"][term]) for term in TERMS}
            fingerprint = dict(data["fingerprint"])
        except FileNotFoundError:
            raise FileNotFoundError(f"latency table {path} does not exist.") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is no latency table: {error!r}.") from None
        if not all(ms >= 0 and np.isfinite(ms) for ms in [*times.values(), *scales.values()]):
            raise ValueError(f"{path}: times and scales must be finite and at least 0.")
        expected = target.fingerprint()
        differing = [k for k in expected if fingerprint.get(k) != expected[k]]
        if differing and not other_target:
            key = differing[0]
            raise ValueError(
                f"{path} is a table of another target: {key} is {fingerprint.get(key)!r}, here it "
                f"is {expected[key]!r}. Measure a new one, or accept it with other_target=True."
            )
        return cls(target, times, scales, fingerprint)

    def save(self, path: str | Path) -> None:
        """Writes the table as JSON."""
        data = {"fingerprint": self.fingerprint, "scales": self.scales, "times": self.times}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(data, indent=1))

    def measure_missing(
        self, network: nn.Module, input_size: tuple[int, int, int] | None = None
    ) -> int:
        """Times the operators of a network that are not in the table yet; returns how many.

        Raises:
            NoisyMeasurementError: The times vary too much, several times in a row.
        """
        return self.measure(list_operators(network, self.target, input_size))

    def measure(self, operators: Sequence[Operator]) -> int:
        """Times those of the operators that are not in the table yet; returns how many.

        Raises:
            NoisyMeasurementError: The times vary too much, several times in a row.
        """
        missing = {op.key: op for op in operators if op.key not in self.times}
        if not missing:
            return 0
        empty = empty_operator(self.target)
        spread = 0.0
        for _ in range(ATTEMPTS):
            alone = self._measure(empty).time if empty else 0.0
            found = {key: self._measure(operator) for key, operator in missing.items()}
            total = sum(samples.time for samples in found.values())
            spread = sum(samples.spread for samples in found.values()) / max(total, 1e-9)
            if spread <= MAX_SPREAD:
                self.times |= {key: max(0.0, s.time - alone) for key, s in found.items()}
                return len(missing)
        raise NoisyMeasurementError(
            f"the times of operators on {self.target} vary by {spread:.0%}, {ATTEMPTS} times in a "
            f"row; up to {MAX_SPREAD:.0%} is trusted. Stop other work on this machine, or give a "
            "table that was measured before."
        )

    def _measure(self, operator: Operator) -> "Samples":
        with prepare_operator(operator, self.target) as call:
            samples = time_calls({"": call}, self.target, SAMPLES)[""]
        # What others on the machine take from a short time is never negative.
        lower, upper = np.quantile(samples, (0.25, 0.75))
        return Samples(float(lower), float(upper - lower))

    def predict(self, network: nn.Module, input_size: tuple[int, int, int] | None = None) -> float:
        """Predicted milliseconds of a network for one image, without running it.

        Args:
            network: A network, or a part of one.
            input_size: ``(C, H, W)`` of the input; an image of the target's size if None.

        Raises:
            LookupError: The table lacks an operator.
        """
        return self.total(list_operators(network, self.target, input_size))

    def total(self, operators: Sequence[Operator]) -> float:
        """Predicted milliseconds of operators.

        Raises:
            LookupError: The table lacks an operator.
        """
        return float(self._terms(operators) @ [self.scales[term] for term in TERMS])

    def breakdown(self, network: nn.Module) -> list[tuple[str, int, float]]:
        """Operators of a network with their number and milliseconds in all, worst first."""
        operators = list_operators(network, self.target)
        counts = Counter(op.key for op in operators)
        kinds = {op.key: op.kind for op in operators}
        call = self.scales["calls"]
        rows = [
            (key, n, n * (self._time(key) * self.scales[kinds[key]] + call))
            for key, n in counts.items()
        ]
        return sorted(rows, key=lambda row: -row[2])

    def calibrate(
        self, operators: Mapping[str, Sequence[Operator]], milliseconds: Mapping[str, float]
    ) -> None:
        """Fits the scales of the kinds to measured networks, by relative least squares.

        Args:
            operators: What the runtime makes of each network, by its name; the table has them.
            milliseconds: The measured times of the networks.
        """
        names = list(operators)
        measured = np.array([milliseconds[name] for name in names])
        sums = np.stack([self._terms(found) for found in operators.values()]) / measured[:, None]
        # A term that the networks say nothing about stays what it was without them.
        trust = np.sqrt(TRUST_IN_PRIOR * len(names) / len(TERMS))
        weight = trust * np.diag([1.0] * len(KINDS) + [1e-3])
        rows = np.concatenate([sums, weight])
        wanted = np.concatenate([np.ones(len(names)), weight @ PRIOR])
        self.scales = dict(zip(TERMS, nnls(rows, wanted)[0].tolist(), strict=True))

    def _terms(self, operators: Sequence[Operator]) -> np.ndarray:
        terms = dict.fromkeys(TERMS, 0.0)
        for op in operators:
            terms[op.kind] += self._time(op.key)
            terms["calls"] += 1
        return np.array([terms[term] for term in TERMS])

    def _time(self, key: str) -> float:
        if key not in self.times:
            raise LookupError(
                f"the latency table of {self.target} has no operator '{key}': measure it with "
                "`measure_missing`."
            )
        return self.times[key]
