"""``sklearn-meg merge``: studies of several machines as one."""

import argparse
from pathlib import Path

from .asked import study_of
from .common import CommandError, add_out, give_memory_back, open_folder
from .study import KEPT, build_models, write

EXAMPLE = """\
example:
  sklearn-meg study --epochs lab-1/sub-*-epo.fif --features length --each-subject --out one
  sklearn-meg study --epochs lab-2/sub-*-epo.fif --features length --each-subject --out two
  sklearn-meg merge one two --out both

Studies of different subjects with the same models, or of the same trials with different models.
Models must have been fitted within subjects (--each-subject): a model that pools subjects has not
seen those of the other study.
"""


def add_parsers(commands):
    """Add ``merge`` to the command line."""
    merge = commands.add_parser(
        "merge",
        help="put studies of several machines together",
        description="Put finished studies together, and write page and tables of all subjects.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    merge.set_defaults(run=run_merge)
    merge.add_argument(
        "studies", nargs="+", metavar="DIR", help="folders that sklearn-meg study wrote (--out)"
    )
    add_out(merge.add_argument_group("results"), "sklearn-meg-merge")


def run_merge(arguments):
    """Do what ``sklearn-meg merge`` was asked for; return the exit status."""
    from ..study import Study
    from ..study.kept import write_study

    give_memory_back()
    files = find_files(arguments.studies)
    out = open_folder(arguments.out)
    commands, studies = zip(*(_read(path) for path in files))
    merged = Study.merge(studies)
    merged.notes_ = list(dict.fromkeys(note for s in studies for note in s.notes_ or ()))
    merged.counts_ = _counts(studies)
    title = arguments.title or f"Encoding study: {', '.join(commands[0]['features'])}"
    write(merged, out, title, quiet=arguments.quiet)
    names = list(dict.fromkeys(name for command in commands for name in command["names"]))
    write_study(merged, out / KEPT, {**commands[0], "names": names})
    return 0


def find_files(folders):
    """The file of each study.

    Raises CommandError if one is not there, or named twice.
    """
    files = [Path(folder) for folder in folders]
    files = [path / KEPT if path.is_dir() else path for path in files]
    lost = [str(path) for path in files if not path.is_file()]
    if lost:
        raise CommandError(
            f"There is no {lost[0]}. It is written by sklearn-meg study when it is finished."
        )
    twice = {str(path) for path in files if files.count(path) > 1}
    if twice or len(files) < 2:
        raise CommandError(
            f"merge takes two or more studies, each once. Got {', '.join(map(str, files))}."
        )
    return files


def _read(path):
    from ..study.kept import read_facts, restore

    facts, arrays = read_facts(path)
    try:
        return facts["command"], restore(study_of(facts["command"], build_models), facts, arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path}: {error}") from error


def _counts(studies):
    import pandas as pd

    tables = [study.counts_ for study in studies if study.counts_ is not None]
    return pd.concat(tables, ignore_index=True).drop_duplicates() if tables else None
