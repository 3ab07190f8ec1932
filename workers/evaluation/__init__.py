"""Statistics of labelled scores: metrics, intervals, curves, bootstrap."""
