"""Where there is no fcntl and no resource, as on Windows, everything is imported and locks are msvcrt's.

Of Windows only that much can be tried here; what holds there docs/run.md says.
"""

import subprocess
import sys

PROGRAM = """
import sys, types
sys.modules["fcntl"] = sys.modules["resource"] = None
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
platform, sys.platform = sys.platform, "win32"
import earmark.engine.locks
assert not hasattr(earmark.engine.locks, "fcntl")
sys.platform = platform
del sys.modules["msvcrt"]  # which subprocess would take for a sign of Windows
import earmark.api, earmark.engine.answerers.journal, earmark.engine.making.edge.machine
from importlib import import_module
from earmark.cli.main import COMMANDS
for module, _ in COMMANDS.values():
    import_module(module)
"""


def test_everything_is_imported_without_fcntl_and_resource() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
