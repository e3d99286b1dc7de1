"""What the commands share: mistakes in one line, numbers, lists, folders."""

import argparse
import contextlib
import ctypes
import os
import sys
from pathlib import Path

M_MMAP_THRESHOLD = -3  # of malloc.h
OWN_PAGES_BYTES = 2**20  # larger arrays have pages of their own


class CommandError(Exception):
    """A mistake of the user, told in one line."""


def positive(text):
    """Return a positive number from the command line."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return value


def split(texts):
    """Names from arguments with commas or spaces between, each once."""
    parts = [part.strip() for text in texts or () for part in text.split(",")]
    return list(dict.fromkeys(part for part in parts if part))


def pairs(texts, option, convert=str):
    """Dictionary from arguments NAME=VALUE."""
    found = {}
    for text in split(texts):
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise CommandError(f"{option} takes NAME=VALUE, got {text!r}")
        try:
            found[name] = convert(value)
        except ValueError:
            raise CommandError(f"{option} {text}: {value!r} is no number") from None
    return found


def existing(path):
    """Path of a file that there is."""
    if not Path(path).is_file():
        raise CommandError(f"{path}: no such file")
    return Path(path)


def check_models(names, known):
    """Return names of models, all of which must be known."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise CommandError(
            f"unknown model {', '.join(map(repr, unknown)) or '(none)'}; "
            f"choose from {', '.join(known)}"
        )
    return names


def read_table(path, **options):
    """Table of numbers in a text file, as :func:`~sklearn_meg.study.tables.read_table`.

    Raises CommandError if there is none in it.
    """
    from ..study import tables

    try:
        return tables.read_table(path, **options)
    except ValueError as error:  # of pandas, too
        raise CommandError(f"{path} holds no table of numbers: {one_line(error)}") from error


def give_memory_back():
    """Let the C library return freed arrays to the system at once, here and in worker processes.

    By default glibc keeps what was freed, up to twice of what is in use in a study.
    """
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(OWN_PAGES_BYTES))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES)


def open_folder(path):
    """Make the folder for results."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--out {path}: {error.strerror or error}") from error
    return folder


def one_line(error):
    """Message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def add_out(group, default):
    """Options of every command: the folder, the title, silence."""
    group.add_argument("--out", default=default, metavar="DIR", help="default: %(default)s")
    group.add_argument("--title", default=None, help="title of the page")
    group.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
