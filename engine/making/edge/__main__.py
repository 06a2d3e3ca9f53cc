"""The command of an exported folder, which keep.py runs."""

import sys
from pathlib import Path

from earmark.engine.making.edge.command import main

folder, here = Path(__file__).resolve().parents[1], Path.cwd()
sys.exit(main(sys.argv[1:], folder.relative_to(here) if folder.is_relative_to(here) else folder))
