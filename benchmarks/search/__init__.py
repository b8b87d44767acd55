"""Searches on tables: how much of the true front after how many evaluations.

- ``nas201``      the surrogate beside classic optimisers, with and without free costing
- ``validation``  the same, searching validation accuracies after 12 epochs, judged after 200
- ``warm_start``  what a memory of past runs saves, and what a wrong one costs
- ``overhead``    seconds that a strategy takes for a design

Each prints what is recorded in ``results``; ``--refresh`` (of the module) measures anew.
"""
