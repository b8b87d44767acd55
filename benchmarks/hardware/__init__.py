"""How far the hardware models are from what they are meant to predict, and how fast they are.

`python -m benchmarks.hardware` runs all of it and prints one table;
`python -m benchmarks.hardware NAME ...` runs some. Each module has a function
``measure() -> list[Row]`` and is named in ``__main__``.
"""
