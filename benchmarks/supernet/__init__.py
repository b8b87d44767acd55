"""How well supernets train and predict, and how fast.

`python -m benchmarks.supernet` runs all of it and prints one table;
`python -m benchmarks.supernet NAME ...` runs some. Each module has a function
``measure() -> list[Row]`` and is named in ``__main__``. What takes long to measure is
recorded under ``results``; `python -m benchmarks.supernet.NAME --refresh` measures it again.
"""
