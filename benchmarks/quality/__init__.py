"""How good the results are, on labelled data that ships with the repository: ``python -m benchmarks.quality``."""
