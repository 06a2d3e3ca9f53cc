"""The selectors: which one-second chunks of a clip are worth their place, heuristic or learned.

Sees audio, and the question where it is conditioned; never labels, answers or results.
"""
