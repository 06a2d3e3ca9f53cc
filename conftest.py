"""Takes the repository root off sys.path, so that only `earmark.*` can be imported (never a bare `kernels`); says how
the examples of hypothesis are drawn, how threads wait, and where each process of `make test` keeps its kernels.
"""

import os
import sys
from pathlib import Path

from hypothesis import settings

_ROOT = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]

# Read when torch and the kernels load OpenMP. By default its threads spin while they wait for one another, which takes
# the core from what they wait for wherever processes share the cores: `make test` is several. Results do not change.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Where there is no terminal a line of progress comes after 10 s: on a busy machine, where a test expects no word.
os.environ.setdefault("EARMARK_PROGRESS", "0")

# numba numbers the files of its cache by an index that it reads, changes and writes: two processes that compile a
# kernel for two types at one moment may take the same number. So each has its own cache (20 CPU seconds more, once).
if _worker := os.environ.get("PYTEST_XDIST_WORKER"):
    _caches = os.environ.get("EARMARK_CACHE_DIR") or _ROOT / ".pytest_cache" / "kernels"
    os.environ["EARMARK_CACHE_DIR"] = str(Path(_caches) / _worker)

# The first call of a kernel on a machine compiles it: an example's time says nothing. The same tree has the same
# examples, so that it passes or fails alike everywhere; HYPOTHESIS_PROFILE=explore draws others.
settings.register_profile("earmark", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "earmark"))
