"""Keeping some seconds of a clip: selectors score them, and a budget keeps the best.

`tiny/` holds two trained selectors for the embedded answerer. How they are trained and exported, `making` knows.
"""
