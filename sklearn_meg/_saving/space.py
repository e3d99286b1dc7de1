"""Arrays that lie in nameless files where they are large."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress

import numpy as np

# Larger arrays lie in files; smaller ones of 1000 subjects and 5 models still fit into memory.
IN_MEMORY_BYTES = 2**17


def room(shape, folder=None, *, above=IN_MEMORY_BYTES):
    """Zeros of float32; in a nameless file if they are many, and there is space for it.

    shape (tuple of int)
    folder (path-like): Folder of the file; None is the folder for temporary files, which is also
        the second try.
    above: Bytes above which they lie in a file.
    Returns zeros (ndarray or memmap of shape `shape`)
    """
    n_bytes = 4 * int(np.prod(shape, dtype=float))
    if n_bytes > above:
        for where in dict.fromkeys((folder, None)):
            with suppress(OSError), tempfile.TemporaryFile(dir=where) as file:
                _reserve(file, n_bytes)
                return np.memmap(file, np.float32, "w+", shape=shape)  # keeps the file
    return np.zeros(shape, dtype=np.float32)


def _reserve(file, n_bytes):
    """Take the space now: a mapping that meets a full disk later ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, n_bytes)
