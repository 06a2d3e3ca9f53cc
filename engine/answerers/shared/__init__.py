"""Answering with models whose encodings, keys and values are shared: every computation once.

Knows a model by its protocol and its dimensions; no torch, no corpus files and no outcomes.
"""
