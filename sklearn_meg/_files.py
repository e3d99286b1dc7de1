"""Files that are whole or absent, whatever happens."""

import os
import uuid
from pathlib import Path


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
