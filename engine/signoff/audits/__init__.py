"""The audits: what is said beside a verdict, on gains, questions, families, seeds, leakage and noise (method 4 and 10).

Nothing here approves anything.
"""
