"""What both forms of betting share: how large the stakes are (method 9.3). Knows numbers only."""

import math

TARGET = math.log(40.0)  # the log capital that the stakes are made for: p = .025; any fixed number is valid
CAP = 0.95  # largest stake, as a share of the one that the worst recording possible would ruin
PRIOR_VARIANCE = 0.15  # variance of a value before any recording has been seen,
PRIOR_RECORDINGS = 20.0  # and how many recordings that guess counts as
RESOLUTION = 2.0**-24  # width of the bracket around a bound, below 1e-7
