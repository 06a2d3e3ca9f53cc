"""A dataset of the hub: which files are of which split, which column is what, and its rows as examples."""
