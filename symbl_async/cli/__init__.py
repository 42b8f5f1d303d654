"""The command line: ``symbl-async``. stdout carries data, everything else goes to stderr."""

import sys


def main() -> None:
    """Run the command line and exit with its status.

    0 done, 1 some inputs failed, 2 usage or configuration, 3 interrupted with a journal to go on from, 130 interrupted.
    """
    try:
        from .app import run_command
    except ModuleNotFoundError as error:
        if error.name not in {"cyclopts", "rich"}:
            raise
        sys.stderr.write("symbl-async needs its command line extra: pip install 'symbl_async[cli]'\n")
        sys.exit(2)
    sys.exit(run_command(sys.argv[1:]))
