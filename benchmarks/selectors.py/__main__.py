"""`python benchmarks/selectors.py`: the speed of selectors, measured by edge.py.

A folder, because a file of this name would stand in the place of Python's own `selectors` in every script beside it.
"""

import runpy
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path[0] = str(BENCHMARKS)

if __name__ == "__main__":
    runpy.run_path(str(BENCHMARKS / "edge.py"), run_name="__main__")
