"""A corpus made from a seed: one-second slots of known sounds, and questions whose relevant slots are known."""
