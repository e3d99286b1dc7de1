"""Run a benchmark: ``python -m sklearn_meg.benchmarks encoding [--quick] [--json FILE]``."""

import argparse
import sys
from importlib import import_module

from ._report import print_checks, print_table, write_json

NAMES = ("encoding", "source", "tms", "connectome", "nerve", "dynamics", "trust")


def main(argv=None):
    """Run the benchmark named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sklearn_meg.benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that it runs")
    parser.add_argument("--seeds", type=int, default=None, metavar="N", help="number of seeds")
    parser.add_argument("--cases", default=None, metavar="A,B", help="only these cases")
    parser.add_argument("--json", default=None, metavar="FILE", help="write all rows and checks")
    arguments = parser.parse_args(argv)
    benchmark = import_module(f".{arguments.name}", __package__)
    cases = arguments.cases.split(",") if arguments.cases else None
    if unknown := set(cases or ()) - set(benchmark.CASES):
        parser.error(f"unknown cases {sorted(unknown)}; choose from {', '.join(benchmark.CASES)}")
    rows, checks, settings = benchmark.run(arguments.quick, arguments.seeds, cases)
    print_table(rows)
    print_checks(checks)
    write_json(arguments.json, arguments.name, rows, checks, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
