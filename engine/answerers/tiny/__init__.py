"""The embedded answerers: this folder is a small Qwen2-Audio like any downloaded one (tiny-a; its card is README.md),
and `b/` is another, trained from another seed.
"""

from pathlib import Path

TINY_A = Path(__file__).parent
TINY_B = TINY_A / "b"
FOLDERS = {"tiny-a": TINY_A, "tiny-b": TINY_B}
EMBEDDED = {"tiny": TINY_A, **FOLDERS}  # by all their names
