"""The answerers: what is asked and what may be heard in, answers and their likelihoods out, every computation once.

Knows torch and transformers. Reads no files of a corpus and writes none of outcomes.
"""
