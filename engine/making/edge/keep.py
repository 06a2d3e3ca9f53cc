"""Keeps the best seconds of a recording, on a device that has Python 3.10 or later, NumPy and onnxruntime.

    python keep.py clip.wav --budget 0.2 --out kept.wav
    python keep.py --check

Runs what lies in earmark_edge/ beside it; `python keep.py --help` lists the options.
"""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

if __name__ == "__main__":
    if missing := [name for name in ("numpy", "onnxruntime") if find_spec(name) is None]:
        print(f"keep.py: {' and '.join(missing)} missing; pip install numpy onnxruntime", file=sys.stderr)
        raise SystemExit(2)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    runpy.run_module("earmark_edge", run_name="__main__")
