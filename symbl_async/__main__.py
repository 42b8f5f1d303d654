"""``python -m symbl_async`` is ``symbl-async``."""

from .cli import main

if __name__ == "__main__":
    main()
