"""python -m archwright."""

from archwright.cli import main

if __name__ == "__main__":
    main()
