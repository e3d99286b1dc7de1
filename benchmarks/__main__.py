"""Run a benchmark: ``python -m benchmarks encoding [--quick] [--json FILE]``."""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path

from .command import run_command

NAMES = sorted(path.parent.name for path in Path(__file__).parent.glob("*/run.py"))


def main(argv=None):
    """Run the benchmark named on the command line; return the exit status."""
    found = {name: partial(import_module, f".{name}.run", __package__) for name in NAMES}
    return run_command("python -m benchmarks", found, argv)


if __name__ == "__main__":
    sys.exit(main())
