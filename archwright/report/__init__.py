"""The report of a run: one self-contained page, its markdown twin and the front as CSV.

Where things are:

- ``html``, ``markdown``, ``table``: the three files; each writes from a ``RunResult``
- ``story``: the sentences that page and Markdown share
- ``views``, ``layers``: rows and cells of their tables
- ``figures``: the plots, drawn by ``templates/report.js``
- ``text``: how numbers, units and untrusted words are printed
"""
