"""Ten-second clips of synthetic sounds and questions about them, with the slots that answer each question known.

Deterministic from a split, a seed and an index; nothing is stored, every clip is made when it is heard. Knows no
model and no selector.
"""
