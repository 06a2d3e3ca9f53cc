"""What an answerer may hear: scores and a budget in, kept chunks and the hash of the kept audio out.

Knows NumPy arrays only: no files, no models.
"""
