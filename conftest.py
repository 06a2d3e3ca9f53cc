"""Takes the repository root off sys.path, so that only `earmark.*` can be imported (never a bare `kernels`)."""

import os
import sys
from pathlib import Path

from hypothesis import settings

_ROOT = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]

# The first call of a kernel on a machine compiles it: an example's time says nothing. The same tree has the same
# examples, so that it passes or fails alike everywhere; HYPOTHESIS_PROFILE=explore draws others.
settings.register_profile("earmark", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "earmark"))
