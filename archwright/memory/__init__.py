"""The archive (the truth), the vector index over it, and lessons.

Every run keeps one archive. The memory reads the archives of all registered runs; it
holds nothing that they do not hold.

- ``tables``: what an archive's tables and columns mean.
- ``records``: what an archive gives back, as frozen dataclasses.
- ``rows``: between those and the tables' rows.
- ``reader``: reads one archive and never changes it.
- ``archive``: reads and writes one archive; every write may be repeated.
- ``registry``: which runs exist, where their folders are, how they stand.
- ``past``: reads the archives of other runs, in whatever state they are.
- ``past_networks``: what a past run measured, as prior data: bounded and checked.
- ``embedding``: brief, workload and design as one vector, for any space.
- ``index``: the Chroma folder: locked, checked, thrown away when it is damaged.
- ``recall``: similar designs of past runs, as information and never as measurements.
- ``lessons``: what the critic learned, bounded and cleaned, across runs.
- ``database``: one SQLAlchemy database for several threads and processes.
"""
