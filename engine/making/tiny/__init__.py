"""How the embedded answerer is made from nothing: `python -m earmark.engine.making.tiny`.

Knows the synthetic corpus. The result is a plain Qwen2-Audio; auxiliary heads and symbols exist in training only.
"""
