"""The pages of `scanner serve`: live, gallery, review, export, metrics."""
