"""Where the real recordings of a developer are."""

import os
from pathlib import Path


def recording(*parts):
    """Path below the folder that ``SKLEARN_MEG_DATA`` names; None if it is not there.

    *parts: Folders and file.
    Returns path (Path or None)
    """
    folder = os.environ.get("SKLEARN_MEG_DATA")
    if folder is None:
        return None
    path = Path(folder).joinpath(*parts)
    return path if path.exists() else None
