"""The sweep: asks the same questions on raw and on compressed audio, and writes the outcomes into a run folder.

`run` is the whole flow on one screen. Signs nothing off: that is `engine.signoff`'s, from the cells alone.
"""
