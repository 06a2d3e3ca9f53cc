"""What an exit code means, for every command."""

DIFFERS = 1  # a certificate does not follow from its files, or a statement does not hold
BAD_INPUT = 2
REFUSED = 3  # nothing is approved, or a model may not ship
BUG = 70
INTERRUPTED = 130
