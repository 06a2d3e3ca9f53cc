"""Qwen2-Audio and Qwen2.5-Omni: their encoders before one decoder, in torch and, in fp32 on a CPU, compiled.

Knows batches of excerpts and prompts; which work they are part of, `shared` knows.
"""
