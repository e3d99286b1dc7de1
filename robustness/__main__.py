"""Run the checks of robustness: ``python -m robustness [violations] [--quick] [--json FILE]``."""

import sys
from importlib import import_module

from benchmarks.command import run_command


def main(argv=None):
    """Run them and return the exit status."""
    found = {
        "trust": lambda: import_module(".run", __package__),
        "violations": lambda: import_module(".violations.run", __package__),
    }
    return run_command("python -m robustness", found, argv, default="trust")


if __name__ == "__main__":
    sys.exit(main())
