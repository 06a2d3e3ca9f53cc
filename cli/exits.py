"""What an exit code means, for every command; 2, bad input, is what click and `engine.errors` give."""

FAILED = 1  # nothing could be made of a recording; the others are written
DIFFERS = 1  # a certificate does not follow from its files, or a statement does not hold
REFUSED = 3  # nothing is approved, or a model may not ship
WORSE = 3  # something got worse than the certificate before says
INCOMPARABLE = 4  # two certificates, or parts of them, cannot be compared
BUG = 70
INTERRUPTED = 130
CLOSED = 141  # nobody reads stdout any more: 128 and SIGPIPE
