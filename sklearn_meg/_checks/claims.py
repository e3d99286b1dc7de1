"""Files whose headers claim more data than they can hold: refused before anything is allocated."""

from __future__ import annotations

import math
import os
import struct
import zipfile
from pathlib import Path

import numpy as np

__all__ = ["check_claims", "open_image"]

RATIO = 1100  # deflate cannot make more bytes of one; what is not compressed has a ratio of 1
FIF_MAGIC = struct.pack(">iiii", 100, 31, 20, 0)  # id of the file, a struct of 20 bytes


def check_claims(path):
    """Refuse a file of arrays, an image or a FIF file that claims more than it can hold.

    path (path-like): ``.npy``, ``.npz``, images that nibabel reads, ``.fif``. Others are not
        looked at.
    Raises ValueError: An error that names the file, what it claims and how large it is.
    """
    path = Path(path)
    if not path.is_file():
        return
    if path.suffix == ".npy":
        with open(path, "rb") as file:
            _compare(path, _array_bytes(file), path.stat().st_size)
    elif path.suffix == ".npz":
        _check_archive(path)
    elif path.suffix == ".fif":
        _check_fif(path)
    elif path.name.endswith((".nii", ".nii.gz", ".mgz", ".mgh")):
        open_image(path)


def open_image(image):
    """An image, opened by nibabel if it is a path, whose file can hold its data.

    image (path-like or nibabel image)
    Returns image (nibabel image): Its data are not read yet.
    Raises ValueError if it is no image that nibabel reads, or its header claims more than the file
        can hold.
    """
    if isinstance(image, str | os.PathLike):
        import nibabel as nib

        try:
            image = nib.load(image)
        except nib.filebasedimages.ImageFileError as error:
            raise ValueError(f"{image} is no image that nibabel reads (.nii): {error}.") from error
    path = image.get_filename() if hasattr(image, "get_filename") else None
    if path is not None and Path(path).is_file():
        bytes_each = image.get_data_dtype().itemsize
        ratio = RATIO if str(path).endswith(("gz", "bz2", "zst")) else 1
        _compare(path, math.prod(image.shape) * bytes_each, ratio * Path(path).stat().st_size)
    return image


def _array_bytes(file):
    """Bytes that the header of an npy stream claims; 0 for what is no array."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
        read = read or np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except ValueError:  # its reader says what is wrong
        return 0
    return math.prod(shape) * dtype.itemsize


def _check_archive(path):
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    _compare(path, _array_bytes(file), RATIO * max(entry.compress_size, 1))
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, RuntimeError, NotImplementedError):
        return  # its reader says what is wrong


def _check_fif(path):
    """Follow the tags of a FIF file: each is (kind, type, bytes, next), then its data."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(16)[:12] != FIF_MAGIC[:12]:
            return
        at, seen = 0, 0
        while 0 <= at and at + 16 <= size and seen <= size // 16:
            file.seek(at)
            _, _, n_bytes, follows = struct.unpack(">iiii", file.read(16))
            if n_bytes < 0 or at + 16 + n_bytes > size:
                _compare(path, n_bytes % 2**32, size - at - 16)
            at = at + 16 + max(n_bytes, 0) if follows == 0 else follows
            seen += 1


def _compare(path, claimed, possible):
    if claimed > possible:
        size = os.stat(path).st_size
        raise ValueError(
            f"{path} claims {claimed:.3g} bytes of data, more than a file of {size} bytes can "
            "hold: it is damaged or forged. Get it anew from where it came from."
        )
