"""The command of an exported folder, which keep.py runs."""

import sys
from pathlib import Path

from earmark.engine.making.edge.command import main

sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[1]))
