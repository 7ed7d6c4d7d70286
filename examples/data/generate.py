"""Make bicycle_counts.csv. The numbers are generated, not measured: a fixed seed gives the same file each time.

python examples/data/generate.py examples/data/bicycle_counts.csv
"""

from __future__ import annotations

import csv
import math
import random
import sys
from datetime import date, timedelta
from pathlib import Path

SEED = 1817  # the year of the first bicycle
FIRST_DAY = date(2025, 1, 1)
DAYS = 365
OUTAGE = range(206, 211)  # five days in July on which the counter was out of order: no number


def main(target: Path) -> None:
    """Write the table to `target`."""
    rows = random.Random(SEED)
    weather = 0.0
    with target.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["Date", "Bicycles", "Temperature (°C)", "Rain (mm)"])
        for number in range(DAYS):
            day = FIRST_DAY + timedelta(days=number)
            weather = 0.7 * weather + rows.gauss(0, 2.2)
            temperature = 10.5 - 9.5 * math.cos(2 * math.pi * (number - 18) / 365) + weather
            rain = rows.expovariate(1 / 6) if rows.random() < 0.38 else 0.0
            count = "" if number in OUTAGE else cyclists(rows, day, temperature, rain)
            table.writerow([day.isoformat(), count, f"{temperature:.1f}", f"{rain:.1f}"])


def cyclists(rows: random.Random, day: date, temperature: float, rain: float) -> int:
    """Who crosses the bridge: commuters on working days, more in warm weather, fewer in rain and in the holidays."""
    usual = 2600 if day.weekday() < 5 else 1500
    holidays = 0.72 if day.month == 8 or (day.month, day.day) >= (12, 22) else 1.0
    warmth = 0.45 + 0.55 / (1 + math.exp(-(temperature - 9) / 4))
    wet = 1 - 0.45 * (1 - math.exp(-rain / 5))
    return round(usual * holidays * warmth * wet * rows.gauss(1, 0.07))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
