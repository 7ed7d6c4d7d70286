"""What a measure finds, and the arithmetic on samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CREATE_AND_RUN_P50 = "create() + first run_code, p50"
CREATE_AND_RUN_P99 = "create() + first run_code, p99"
RUN_P50 = "run_code again, p50"
RUN_P99 = "run_code again, p99"
IMPORTS = "import numpy, pandas, pyplot, p50"
MEMORY_PSS = "memory of one idle sandbox, PSS"
MEMORY_AVAILABLE = "memory of one idle sandbox, MemAvailable"
"""Names that the sandbox server and the cold kernel share: the table puts such figures side by side."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the table."""

    name: str
    value: float
    unit: str
    target: str = ""
    """What the design asks for on two cores: for information."""


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the smallest sample that at least so many percent of all do not exceed."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def median(samples: Sequence[float]) -> float:
    return percentile(samples, 50)


def milliseconds(name: str, seconds: float, target: str = "") -> Figure:
    return Figure(name, seconds * 1e3, "ms", target)
