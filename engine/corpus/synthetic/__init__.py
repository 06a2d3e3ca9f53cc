"""Ten-second clips of synthetic sounds and questions about them, with the slots that answer each question known.

Deterministic from a split, a seed and an index; no clip is stored, each is mixed when it is needed. Knows no model and
no selector.
"""
