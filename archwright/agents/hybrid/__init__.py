"""The model's part of proposing: its opening, and its share of every batch after.

- ``proposer``   the model-backed proposer: what it asks, and which of the answer it takes
- ``words``      what the model is told: the space, the cost levels, the front, the candidates
- ``answers``    what it may answer, as schemas made from the space; designs read from answers
- ``levels``     the space by complexity: which parts are thin
- ``committee``  several asks for one batch, and who chooses among their designs
- ``share``      which share of a batch is the model's: a bandit over what its designs gained
- ``notebook``   what came of each ask, kept so that a resumed run knows it
"""
