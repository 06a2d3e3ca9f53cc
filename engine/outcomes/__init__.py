"""Outcomes: what an answerer said to each question under each budget, as a folder of Parquet cells.

Knows the layout and its checks. Knows nothing of statistics, audio or models.
"""
