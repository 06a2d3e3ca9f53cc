"""The paper's theory, each statement checked by machine on small exact instances.

Knows NumPy and SciPy only; nothing of audio, models or outcomes.
"""
