"""Search problems whose evaluations are rows of a table: what optimisers are compared on.

- ``table``: reading a CSV file; ``problem``: what a tabular problem is
- ``nas201``: NAS-Bench-201 crossed with accelerators; ``generic``, ``listed``: any table of choices
- ``joint``: the black-box view, in which an evaluation reveals one design only
- ``entrants``, ``bench``: strategies by name, and how they are compared; ``plot``: the curves
"""
