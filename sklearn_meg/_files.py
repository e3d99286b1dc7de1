"""Files that are whole or absent, whatever happens."""

import os
import uuid
from pathlib import Path


def write_whole(path, write):
    """Write a file so that it is either whole or what it was."""
    path = Path(path)
    name = path.with_name(f".{path.name}-{uuid.uuid4().hex}.tmp")
    try:
        with open(name, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
