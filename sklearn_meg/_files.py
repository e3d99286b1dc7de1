"""Files that are whole or absent, whatever happens."""

import os
import uuid
import zipfile
from pathlib import Path

import numpy as np


def write_whole(path, write):
    """Write a file so that afterwards there is either the new one, whole, or what was there.

    Parameters
    ----------
    path : path-like
    write : callable
        Gets a file that is open for writing bytes.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written to; nothing has changed then.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}-{uuid.uuid4().hex}.tmp")
    try:
        with open(unfinished, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Make sure that the new name outlives a loss of power, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def read_arrays(path):
    """Read the arrays of an npz file.

    Returns
    -------
    arrays : dict of ndarray

    Raises
    ------
    ValueError
        If the file is damaged, something else, or holds objects, which could run code.
    """
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, KeyError, EOFError, AttributeError, TypeError) as error:
        reason = error
    except (zipfile.BadZipFile, zipfile.zlib.error) as error:
        reason = error
    raise ValueError(f"{path} is damaged, or no file of arrays: {reason}.")
