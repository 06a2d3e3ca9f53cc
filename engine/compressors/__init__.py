"""Compressors: a clip, perhaps its question, and a budget in; what may be heard of it out.

Knows clips and questions; neither answerers nor outcomes.
"""
