"""The version, in one place that the build backend reads too."""

__version__ = "0.1.0.dev0"
