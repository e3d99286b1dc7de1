"""Where a developer's real recordings are."""

import os
from pathlib import Path


def recording(*parts):
    """Path below ``$SKLEARN_MEG_DATA`` (or ``../shared/data``), None if absent.

    Parameters
    ----------
    *parts : str
        Folders and file.

    Returns
    -------
    path : Path or None
    """
    default = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("SKLEARN_MEG_DATA", default)).joinpath(*parts)
    return path if path.exists() else None
