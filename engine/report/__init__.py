"""The report: a certificate as one self-contained HTML page for people.

Knows the fields of `certificate.json` and nothing of how they came about; reads no outcomes, computes no statistics.
"""
