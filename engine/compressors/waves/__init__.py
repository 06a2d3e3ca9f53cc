"""Compressors of waves: what is sent is another wave than the recording, and all of what answers hears that one.

Knows samples, budgets and processes; neither questions nor answerers.
"""
