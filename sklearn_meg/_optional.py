"""Packages that only some uses need, and the files that mne brings."""

from contextlib import contextmanager
from pathlib import Path


@contextmanager
def needs(who, package, install):
    """Say what to install where an import inside fails.

    who, package: Name of what needs the package, and the name under which users know the package.
    install: Requirement that pip installs.
    Raises ImportError: Instead of that of the package.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{who} needs {package}: pip install "{install}".') from error


def mne_data_file(*parts):
    """Path of a file that the installed mne package carries (fsaverage, helmets)."""
    import mne

    return Path(mne.__file__).parent.joinpath("data", *parts)
