"""What is written to a store: listings, results, reviews, scans."""
