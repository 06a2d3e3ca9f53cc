"""How the embedded answerer is made from nothing: `python -m earmark.engine.making.tiny`.

Knows the synthetic corpus. What it leaves is a plain Qwen2-Audio; the auxiliary heads and the symbols stay here.
"""
