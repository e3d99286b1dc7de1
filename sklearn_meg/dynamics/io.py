"""Regional time series from mne and from images, and states as mne annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._checks.claims import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from .._typing import Annotations, ArrayLike, Label, PathLike, SourceSpaces, SpatialImage

__all__ = ["label_time_courses", "read_parcellated_bold", "states_to_annotations"]


def label_time_courses(
    stcs: object, labels: list[Label], src: SourceSpaces, mode: str = "pca_flip"
) -> list[np.ndarray]:
    """Time courses of cortical labels, one recording for each source estimate.

    Parameters
    ----------
    stcs : SourceEstimate, VolSourceEstimate, or list of such
        For instance of beamformed raw data: ``mne.beamformer.apply_lcmv_raw``.
    labels : list of Label
        For instance of ``mne.read_labels_from_annot``. With volume estimates, what
        :func:`mne.extract_label_time_course` takes.
    src : SourceSpaces
    mode : str, default="pca_flip"
        Way to make one time course of the sources of a label; as in mne.

    Returns
    -------
    X : list of ndarray of shape (n_labels, n_times)

    Raises
    ------
    ValueError
        For labels without source.

    See Also
    --------
    sklearn_meg.dynamics.AmplitudeEnvelope : Amplitudes of these time courses.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import label_time_courses
    >>> common = {
    ...     "type": "surf", "np": 5, "nuse": 5, "vertno": np.arange(5), "inuse": np.ones(5, int),
    ...     "rr": np.zeros((5, 3)), "nn": np.tile([0.0, 0.0, 1.0], (5, 1)), "coord_frame": 5,
    ...     "pinfo": None, "patch_inds": None, "nearest": None, "dist": None, "dist_limit": None,
    ...     "subject_his_id": "s",
    ... }
    >>> src = mne.SourceSpaces([{"id": 101, **common}, {"id": 102, **common}])  # both hemispheres
    >>> sources = np.random.default_rng(0).normal(size=(10, 30))
    >>> stc = mne.SourceEstimate(sources, [np.arange(5), np.arange(5)], 0.0, 0.01, "s")
    >>> labels = [mne.Label([0, 1, 2], hemi="lh"), mne.Label([3, 4], hemi="rh")]
    >>> label_time_courses(stc, labels, src)[0].shape
    (2, 30)
    """
    import mne

    stcs = [stcs] if not isinstance(stcs, list | tuple) else list(stcs)
    return [
        np.asarray(x)
        for x in mne.extract_label_time_course(stcs, labels, src, mode=mode, verbose="error")
    ]


def read_parcellated_bold(
    images: PathLike | SpatialImage | Sequence[PathLike | SpatialImage],
    atlas: PathLike | SpatialImage,
    *,
    standardize: bool = True,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Mean BOLD time course of each region of an atlas.

    Parameters
    ----------
    images : path, nibabel image, or list of such
        4-D, one for each recording.
    atlas : path or nibabel image
        3-D whole numbers on the grid of the images: 0 outside, then one number a region.
    standardize : bool, default=True
        Zero mean and unit variance of each region in each recording.

    Returns
    -------
    X : list of ndarray of shape (n_regions, n_times)
    regions : ndarray of int
        The numbers in the atlas.

    Raises
    ------
    ValueError
        For grids that differ, an atlas without region, or a region that does not vary.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import read_parcellated_bold
    >>> atlas = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2) // 3, np.eye(4))
    >>> bold = np.random.default_rng(0).normal(size=(2, 2, 2, 50))
    >>> X, regions = read_parcellated_bold(nib.Nifti1Image(bold, np.eye(4)), atlas)
    >>> X[0].shape, regions
    ((2, 50), array([1, 2]))
    """
    images = [images] if not isinstance(images, list | tuple) else list(images)
    atlas = _image(atlas)
    numbers = np.asarray(atlas.dataobj)
    if numbers.ndim != 3 or (numbers != np.rint(numbers)).any() or not (numbers > 0).any():
        raise ValueError(
            f"atlas must be 3-D, whole numbers, with a region above 0. Got {numbers.shape}."
        )
    numbers = np.rint(numbers).astype(int)
    regions = np.unique(numbers[numbers > 0])
    X = [_regions_of(_image(image), atlas, numbers, regions) for image in images]
    if standardize:
        X = [_standardized(x, regions) for x in X]
    return X, regions


def _image(image):
    return open_image(image)


def _regions_of(image, atlas, numbers, regions):
    if image.shape[:3] != numbers.shape or len(image.shape) != 4:
        raise ValueError(
            f"images must be 4-D on the grid of the atlas {numbers.shape}. Got {image.shape}."
        )
    if not np.allclose(image.affine, atlas.affine, atol=1e-3):
        raise ValueError("The affines of image and atlas differ: resample the atlas to the image.")
    data = np.asarray(image.dataobj, dtype=float)
    return np.stack([data[numbers == number].mean(0) for number in regions])


def _standardized(x, regions):
    spread = x.std(1)
    if (spread == 0).any():
        raise ValueError(f"Regions that do not vary: {regions[spread == 0].tolist()}.")
    return (x - x.mean(1, keepdims=True)) / spread[:, None]


def states_to_annotations(
    states: ArrayLike,
    sfreq: float,
    *,
    first_time: float = 0.0,
    names: Sequence[str] | None = None,
    orig_time: datetime | None = None,
) -> Annotations:
    """Visits of states as mne annotations, to be shown with the raw data.

    Parameters
    ----------
    states : array-like of int of shape (n_times,)
        States of one recording, from ``predict``; negative is no state.
    sfreq : float
        Samples a second of the states, Hz.
    first_time : float, default=0.0
        Seconds of the first sample: half of the lags after `TimeDelayEmbedding`.
    names : sequence of str, default=None
        Description for each state; None is ``state 0``, ``state 1``, ...
    orig_time : datetime or None, default=None
        That of ``raw.annotations.orig_time``, if they are to be joined.

    Returns
    -------
    annotations : mne.Annotations

    Raises
    ------
    ValueError
        For states that are not a line of int, or too few names.

    Examples
    --------
    >>> from sklearn_meg.dynamics import states_to_annotations
    >>> visits = states_to_annotations([0, 0, 1, 1, 1, 0], sfreq=10)
    >>> [str(d) for d in visits.description]
    ['state 0', 'state 1', 'state 0']
    >>> visits.duration.tolist()
    [0.2, 0.3, 0.1]
    """
    import mne

    states = np.asarray(states)
    if states.ndim != 1 or not len(states) or states.dtype.kind not in "iu":
        raise ValueError(
            "states must be the states of one recording, (n_times,) of int. Got "
            f"{states.dtype} of shape {states.shape}."
        )
    if not sfreq > 0:
        raise ValueError(f"sfreq must be above 0 Hz. Got {sfreq!r}.")
    if names is not None and len(names) <= states.max():
        raise ValueError(f"names must hold {states.max() + 1} states. Got {len(names)}.")
    starts = np.r_[0, np.flatnonzero(np.diff(states)) + 1]
    lengths = np.diff(np.r_[starts, len(states)])
    kept = states[starts] >= 0
    found = states[starts][kept]
    texts = [f"state {k}" if names is None else str(names[k]) for k in found]
    return mne.Annotations(
        first_time + starts[kept] / sfreq, lengths[kept] / sfreq, texts, orig_time=orig_time
    )
