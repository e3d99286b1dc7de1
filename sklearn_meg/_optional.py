"""Packages that only some uses need."""

from contextlib import contextmanager


@contextmanager
def needs(who, package, install):
    """Say what to install where an import inside fails.

    Parameters
    ----------
    who, package : str
        What needs the package, and the name that its users know it by.
    install : str
        What pip is to install.

    Raises
    ------
    ImportError
        Instead of that of the package.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{who} needs {package}: pip install "{install}".') from error
