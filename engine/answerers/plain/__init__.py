"""Answering with any audio model of transformers, as its own processor and chat template have it: nothing shared.

Knows a model by three methods; no architecture, no sweep, no files.
"""
