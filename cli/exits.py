"""What an exit code means, for every command; 2, bad input, is what click and `engine.errors` give."""

FAILED = 1  # nothing could be made of a recording; the others are written
DIFFERS = 1  # a certificate does not follow from its files, or a statement does not hold
REFUSED = 3  # nothing is approved, or a model may not ship
BUG = 70
INTERRUPTED = 130
CLOSED = 141  # nobody reads stdout any more: 128 and SIGPIPE
