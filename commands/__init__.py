"""What the words of `tandem` do. Part of the command line: imported by `cli.py` alone, lazily."""
