"""The command line: ``sklearn-meg COMMAND ...``."""

import argparse
import sys
import warnings

from ._version import __version__
from .commands import decode, localize, merge, states, study, thresholds, tracts
from .commands.common import CommandError, one_line

MISTAKES = (
    CommandError, ValueError, ImportError, OSError, MemoryError, FloatingPointError,
    NotImplementedError,
)  # fmt: skip
COMMANDS = (study, merge, decode, localize, thresholds, states, tracts)


def main(argv=None):
    """Run the command line and return its exit status.

    argv (list of str): Arguments; None takes those of the process.
    Returns status: 0, or 2 after a mistake, which is told in one line on stderr.
    """
    arguments = _parser().parse_args(argv)
    arguments.told = []
    try:
        with warnings.catch_warnings():
            # joblib starts another process and goes on: nothing that a user could mend.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            warnings.showwarning = _teller(arguments.told, warnings.showwarning)
            return arguments.run(arguments)
    except MISTAKES as error:
        print(f"sklearn-meg: error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("sklearn-meg: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130


def _teller(told, otherwise):
    """Show warnings for users in one line, each once, and keep them for the page."""

    def show(message, category, filename, lineno, file=None, line=None):
        if not issubclass(category, UserWarning):
            otherwise(message, category, filename, lineno, file, line)
        elif (text := one_line(message)) not in told:
            told.append(text)
            print(f"sklearn-meg: warning: {text}", file=sys.stderr)

    return show


def _parser():
    parser = argparse.ArgumentParser(
        prog="sklearn-meg", description="Deep models of brain signals as scikit-learn estimators."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parsers(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
