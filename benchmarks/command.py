"""The command line of a benchmark: its options, the printed tables, the JSON."""

import argparse

from .report import print_checks, print_table, write_json


def run_command(program, benchmarks, argv=None, default=None):
    """Run one benchmark as the command line asks, print its tables and write its JSON.

    program: Command that the help text shows.
    benchmarks (dict of name -> function that returns a module with ``CASES`` and ``run``): With a
        single one, the command takes no name.
    argv (list of str or None)
    default (str or None): Name that is run where the command names none; None asks for one.
    Returns status (int)
    """
    parser = argparse.ArgumentParser(prog=program)
    if len(benchmarks) > 1:
        more = {} if default is None else {"nargs": "?", "default": default}
        parser.add_argument("name", choices=sorted(benchmarks), **more)
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that it runs")
    parser.add_argument("--seeds", type=int, default=None, metavar="N", help="number of seeds")
    parser.add_argument("--cases", default=None, metavar="A,B", help="only these cases")
    parser.add_argument("--json", default=None, metavar="FILE", help="write all rows and checks")
    arguments = parser.parse_args(argv)
    name = getattr(arguments, "name", None) or next(iter(benchmarks))
    benchmark = benchmarks[name]()
    cases = arguments.cases.split(",") if arguments.cases else None
    if unknown := set(cases or ()) - set(benchmark.CASES):
        parser.error(f"unknown cases {sorted(unknown)}; choose from {', '.join(benchmark.CASES)}")
    rows, checks, settings = benchmark.run(arguments.quick, arguments.seeds, cases)
    print_table(rows)
    print_checks(checks)
    write_json(arguments.json, name, rows, checks, settings)
    return 0
