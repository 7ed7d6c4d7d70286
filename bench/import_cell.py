# The first cell of a fresh sandbox.
# ruff: noqa: E402, F401, I001
import time

_start = time.perf_counter()

import numpy
import pandas
import matplotlib.pyplot

time.perf_counter() - _start
