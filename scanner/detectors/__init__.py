"""Which detectors a scan uses, by which thresholds; adding, calibrating and measuring them."""
