"""Curves as other software reads them, and bundles without the curves that do not belong there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._optional import needs

if TYPE_CHECKING:
    from .._typing import ArrayLike, PathLike, SpatialImage

__all__ = ["clean_bundle", "write_streamlines"]

N_POINTS = 20  # of a curve when it is compared with others


def write_streamlines(
    path: PathLike,
    curves: ArrayLike | list[ArrayLike],
    reference: PathLike | SpatialImage | tuple,
) -> None:
    """Write curves as a tractogram.

    Parameters
    ----------
    path : path-like
        File to write; its name ends in ".tck" (MRtrix), ".trk" (TrackVis, dipy) or ".trx" (needs
        trx-python).
    curves : array-like of shape (n, n_points, 3), or list of array-like of shape (n_points, 3)
        World coordinates in mm, as ``bundle``, ``shoot`` and ``connect`` return them. NaN after the
        end of a curve is left out, and so are curves of fewer than two points.
    reference : path-like, nibabel image or tuple of (affine, shape)
        Grid of the voxels: TRK and TRX store it.

    Raises
    ------
    ValueError
        For another ending, or curves that are not in three dimensions.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sklearn_meg.connectome import write_streamlines
    >>> line = np.stack([np.arange(5.0)] * 3, axis=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_streamlines(Path(folder) / "line.tck", [line], (np.eye(4), (6, 6, 6)))
    """
    path = Path(path)
    kept = _without_nan(curves)
    affine, shape = _grid(reference)
    if path.suffix == ".trx":
        _write_trx(path, kept, affine, shape)
    elif path.suffix in (".tck", ".trk"):
        _write_nibabel(path, kept, affine, shape)
    else:
        raise ValueError(f"path must end in '.tck', '.trk' or '.trx'. Got {str(path)!r}.")


def _without_nan(curves):
    kept = []
    for curve in curves:
        curve = np.asarray(curve, dtype=np.float32)
        if curve.ndim != 2 or curve.shape[1] != 3:
            raise ValueError(f"curves must have the shape (n_points, 3) each. Got {curve.shape}.")
        curve = curve[np.isfinite(curve).all(1)]
        if len(curve) > 1:
            kept.append(curve)
    return kept


def _grid(reference):
    if isinstance(reference, tuple):
        return np.asarray(reference[0], dtype=float), tuple(int(n) for n in reference[1])
    import nibabel as nib

    image = reference if hasattr(reference, "affine") else nib.load(reference)
    return np.asarray(image.affine, dtype=float), tuple(image.shape[:3])


def _write_nibabel(path, curves, affine, shape):
    from nibabel.orientations import aff2axcodes
    from nibabel.streamlines import Field, Tractogram, save

    header = None
    if path.suffix == ".trk":
        header = {
            Field.VOXEL_TO_RASMM: affine,
            Field.DIMENSIONS: shape,
            Field.VOXEL_SIZES: np.linalg.norm(affine[:3, :3], axis=0),
            Field.VOXEL_ORDER: "".join(aff2axcodes(affine)),
        }
    save(Tractogram(curves, affine_to_rasmm=np.eye(4)), str(path), header=header)


def _write_trx(path, curves, affine, shape):
    with needs("TRX files", "trx-python", "trx-python"):
        from trx.trx_file_memmap import TrxFile, save
    trx = TrxFile(nb_vertices=sum(map(len, curves)), nb_streamlines=len(curves))
    trx.header["VOXEL_TO_RASMM"] = affine
    trx.header["DIMENSIONS"] = np.array(shape, dtype=np.uint16)
    lengths = np.array([len(curve) for curve in curves])
    trx.streamlines._data = np.concatenate(curves)  # in place of half precision
    trx.streamlines._offsets[:] = np.r_[0, np.cumsum(lengths)[:-1]]
    trx.streamlines._lengths[:] = lengths
    save(trx, str(path))
    trx.close()


def clean_bundle(
    curves: list[ArrayLike], *, threshold: float = 3.0, min_length: float = 0.0
) -> np.ndarray:
    """Mark the curves of a bundle that are close to the others.

    The distance of a curve to the mean curve, at 20 places along it, is compared with that of all:
    curves beyond `threshold` standard deviations at some place are left out, until none is.

    Parameters
    ----------
    curves : list of array-like of shape (n_points, dim)
        Curves of one bundle; which end comes first does not matter.
    threshold : float, default=3.0
        Largest distance from the mean curve, in root mean squares over the curves.
    min_length : float, default=0.0
        Shorter curves are left out.

    Returns
    -------
    keep : ndarray of bool of shape (n_curves,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome import clean_bundle
    >>> line = np.stack([np.arange(9.0), np.zeros(9)], axis=1)
    >>> curves = [line + [0, 0.1 * k] for k in range(20)] + [line + [0, 30.0]]
    >>> int(clean_bundle(curves).sum())
    20
    """
    from ._geodesics import resampled

    curves = [np.asarray(curve, dtype=float) for curve in curves]
    lengths = [np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in curves]
    keep = np.array([n > 0 and n >= min_length for n in lengths], dtype=bool)
    points = np.array([resampled(c, N_POINTS) for c in curves])
    if keep.any():
        turned = points[:, ::-1]
        first = points[np.flatnonzero(keep)[0]]
        back = ((turned - first) ** 2).sum((1, 2)) < ((points - first) ** 2).sum((1, 2))
        points[back] = turned[back]
    while keep.sum() > 2:
        distance = np.linalg.norm(points - points[keep].mean(0), axis=2)
        spread = np.sqrt((distance[keep] ** 2).mean(0))
        far = keep & (distance > threshold * np.maximum(spread, 1e-9)).any(1)
        if not far.any():
            break
        keep &= ~far
    return keep
