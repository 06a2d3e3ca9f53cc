"""Takes the repository root off sys.path, so that only `earmark.*` can be imported (never a bare `kernels`)."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]
