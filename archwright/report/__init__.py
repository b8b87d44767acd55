"""The report of a run: one self-contained page, its markdown twin and the front as CSV."""
