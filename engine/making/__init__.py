"""Making: how selectors, their exports and the embedded answerer come about, and whether an export may ship.

Uses the rooms that a sweep uses; no room of the way from a spec to a certificate imports it.
"""
