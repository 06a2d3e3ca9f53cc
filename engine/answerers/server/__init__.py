"""Served answerers: any endpoint of chat completions in the manner of OpenAI that hears waves.

Needs httpx, and neither torch nor transformers. Knows no sweep.
"""
