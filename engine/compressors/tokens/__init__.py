"""Reductions of an encoder's output: which audio positions enter the decoder, alone, merged, or not at all."""
