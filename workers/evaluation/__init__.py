"""Statistics of labelled scores: metrics, intervals, curves."""
