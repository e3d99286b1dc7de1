"""Named arrays of a file, as labs keep them: NumPy's .npz, MATLAB's .mat of any version, HDF5."""

from pathlib import Path

import numpy as np

from .common import CommandError, one_line

ARRAY_SUFFIXES = (".npz", ".mat", ".h5", ".hdf5")


def read_named(path):
    """Arrays of a file by name; text and cells of text as arrays of strings.

    path (path-like): One of `ARRAY_SUFFIXES`.
    Raises CommandError if it cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path)
    try:
        if suffix == ".mat" and not _is_hdf5(path):
            return _read_matlab(path)
        return _read_hdf5(path, matlab=suffix == ".mat")
    except ImportError:
        raise
    except Exception as error:  # whatever a damaged file provokes
        raise CommandError(f"{path}: cannot be read as arrays: {one_line(error)}") from error


def _read_npz(path):
    from .._saving.store import read_arrays

    try:
        return read_arrays(path)
    except ValueError as error:
        if "objects" not in str(error):
            raise
        raise CommandError(
            f"{one_line(error)} Objects may run code when they are read: save labels as text, "
            "np.asarray(y, dtype=str)"
        ) from error


def _is_hdf5(path):
    """Whether a .mat file is of MATLAB 7.3: HDF5, after a header of 512 bytes."""
    with open(path, "rb") as file:
        head = file.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520])


def _read_matlab(path):
    from scipy.io import loadmat

    found = loadmat(path)
    return {name: _plain(v) for name, v in found.items() if not name.startswith("__")}


def _plain(values):
    """Cells that hold one text or number each, as an array of these."""
    values = np.asarray(values)
    if values.dtype != object or not all(np.size(v) == 1 for v in values.ravel()):
        return values
    return np.array([np.asarray(v).item() for v in values.ravel()]).reshape(values.shape)


def _read_hdf5(path, matlab):
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path} is HDF5, which needs h5py: pip install 'sklearn-meg[study]'."
        ) from error
    with h5py.File(path, "r") as file:
        return {
            name: _of_dataset(file, data, matlab)
            for name, data in file.items()
            if isinstance(data, h5py.Dataset)
        }


def _of_dataset(file, data, matlab):
    """Array of a dataset; those of MATLAB have their axes in reverse, and cells are references."""
    values = data[()]
    if not matlab:
        return np.asarray(values)
    if values.dtype == object:
        cells = [_text_of(file[reference][()]) for reference in values.ravel()]
        return np.array(cells).reshape(values.shape).T
    if data.attrs.get("MATLAB_class") == b"char":
        return np.array([_text_of(values)])
    return np.asarray(values).T


def _text_of(codes):
    """Text of the character codes of MATLAB; a single number as it is."""
    codes = np.asarray(codes)
    if codes.dtype == np.uint16:
        return "".join(map(chr, codes.ravel()))
    return codes.ravel()[0] if codes.size == 1 else str(codes.ravel().tolist())
