"""What runs beside an exported selector on a device: Python 3.10 or later, NumPy, onnxruntime, and nothing of Earmark.

`earmark selector export` copies these files, keep.py into the exported folder and the others into earmark_edge/ below
it, where they import one another by that name. Beside that they import only the standard library, NumPy and
onnxruntime. Earmark's own tests hold them to the same samples, tokens, scores and chunks.
"""
