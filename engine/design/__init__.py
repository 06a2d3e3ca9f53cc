"""The design: what will be evaluated and what counts as safe, as frozen data, before anything is opened.

Knows neither Parquet nor kernels nor any later room.
"""
