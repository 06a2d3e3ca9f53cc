"""The corpus: a benchmark's folder, as its users download it, into examples, one-second chunks and families.

Knows files and audio. Knows no selector, no model and no statistics.
"""
