"""How learned selectors are trained: lessons from oracle relevance, the loss, one run with its checkpoints, many runs.

Sees audio, questions and relevance; never a held-out outcome.
"""
