"""Imports: logs of other evaluation harnesses, one of raw and some of compressed audio, as cells of a run folder.

One file per kind of log turns a log into rows; `logs` pairs them and writes cells. Nothing here hears audio or
judges a budget.
"""

KINDS = ("lm-eval", "lmms-eval", "inspect", "vlmeval", "csv", "jsonl", "parquet")
