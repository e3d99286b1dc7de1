"""Real bundles: geodesics against streamlines that were left out.

The 15 bundles that dipy brings along (three of five people, from tractography: a reference, not
the truth). Half of the streamlines of a bundle make the directions, the others are to be followed.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np

from sklearn_meg.connectome import ConnectomeMetric, EuclideanMetric, InverseTensorMetric

from ..report import row

VOXEL = 2.5  # mm
SHORTEST = 20.0  # mm inside the mask that a streamline must have
ANISOTROPIES = (6.0, 30.0, 150.0, 500.0)


def bundle_rows(seed, quick):
    """Mean deviation in mm over all bundles; none without dipy's file."""
    return _rows("real_bundles", read_bundles, seed, quick)


def more_bundle_rows(seed, quick):
    """The same for a fornix and two cinguli, on which nothing was chosen."""
    return _rows("more_bundles", read_more_bundles, seed, quick)


def _rows(case, read, seed, quick):
    try:
        bundles = read()
    except (ImportError, FileNotFoundError) as error:
        print(f"{case}: left out ({error})")
        return []
    found = {}
    for lines in [bundles[0][::3]] if quick else bundles:
        for name, value in _scores(lines, seed).items():
            found.setdefault(name, []).append(value)
    rows = []
    for k, metric in enumerate(("deviation_mm", "connect_mm")):
        means = {key: np.mean([each[k] for each in v]) for key, v in found.items()}
        for name in dict.fromkeys(name for name, _ in means):  # at its best anisotropy
            best = min(value for key, value in means.items() if key[0] == name)
            if np.isfinite(best):
                rows.append(row(case, name, metric, seed, best))
    return rows


def _dipy_files():
    import dipy.data

    return Path(dipy.data.__file__).parent / "files"


def read_more_bundles():
    """As :func:`read_bundles`, of two other files of dipy: a fornix and parts of two cinguli."""
    import nibabel as nib

    fornix = nib.streamlines.load(_dipy_files() / "tracks300.trk").streamlines
    lists = [list(fornix)]
    with np.load(_dipy_files() / "cb_2.npz", allow_pickle=False) as arrays:
        for side in ("", "2"):
            points, offsets = arrays[f"points{side}"], arrays[f"offsets{side}"]
            lists.append([line for line in np.split(points, offsets) if len(line) > 1])
    return [[_resampled(np.asarray(line, dtype=float)) for line in lines] for lines in lists]


def read_bundles():
    """Lists of streamlines (n_points, 3) in mm, one a bundle."""
    import nibabel as nib

    found = []
    file = _dipy_files() / "minimal_bundles.zip"
    with TemporaryDirectory() as folder, ZipFile(file) as packed:
        for name in sorted(n for n in packed.namelist() if n.endswith(".trk")):
            lines = nib.streamlines.load(packed.extract(name, folder)).streamlines
            found.append([_resampled(np.asarray(line, dtype=float)) for line in lines])
    return found


def _resampled(line, step=0.5 * VOXEL):
    place = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    at = np.arange(0, place[-1], step)
    return np.stack([np.interp(at, place, x) for x in line.T], axis=1)


def _scores(lines, seed):
    """Mean distance of geodesics, and of ways between the ends, from streamlines left out."""
    order = np.random.default_rng(seed).permutation(len(lines))
    known, others = ([lines[i] for i in order[k::2]] for k in (0, 1))
    X, affine = fields_of(known)
    model = ConnectomeMetric(affine=affine).fit(X)
    parts = [part for line in others if len(part := _inside(model, line)) > SHORTEST / VOXEL * 2]
    if not parts:
        return {}
    found = {
        ("default", 0): (_shot(model, parts), _ways(model, parts)),
        ("follow", 0): (_shot(model, parts, follow=1.0), np.nan),
    }
    for key, other in (
        (("euclid", 0), EuclideanMetric(affine=affine)),
        *((("inverse", a), InverseTensorMetric(anisotropy=a, affine=affine)) for a in ANISOTROPIES),
    ):
        other.fit(X)
        found[key] = _shot(other, parts), _ways(other, parts)
    return found


def fields_of(lines):
    """Mean direction of the lines in each voxel, NaN where there is none, and the affine."""
    points, tangents = np.concatenate(lines), np.concatenate([_tangents(line) for line in lines])
    low = points.min(0) - 2 * VOXEL
    voxels = np.round((points - low) / VOXEL).astype(int)
    shape = voxels.max(0) + 3
    total = np.zeros((*shape, 3, 3))
    np.add.at(total, tuple(voxels.T), tangents[:, :, None] * tangents[:, None])
    strength, axes = np.linalg.eigh(total)
    X = np.where(strength[..., -1:] > 0, axes[..., -1], np.nan)
    affine = np.diag([VOXEL] * 3 + [1.0])
    affine[:3, 3] = low
    return X[None], affine


def _tangents(line):
    v = np.gradient(line, axis=0)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def _inside(model, line):
    """The longest part of a line in the mask."""
    inside = ~model.is_unusual(line)
    edges = np.flatnonzero(np.diff(np.r_[0, inside, 0]))
    if not len(edges):
        return line[:0]
    k = (edges[1::2] - edges[::2]).argmax()
    return line[edges[2 * k] : edges[2 * k + 1]]


def _shot(model, parts, follow=0.0):
    starts = np.array([p[0] for p in parts])
    ahead = np.array([_tangents(p)[0] for p in parts])
    longest = VOXEL / 2 * max(len(p) - 1 for p in parts)
    paths = model.shoot(starts, ahead, longest, within="grid", follow=follow)
    missed = []
    for path, part in zip(paths, parts):
        last = path[np.isfinite(path[:, 0])][-1]
        path = np.where(np.isfinite(path), path, last)[: len(part)]
        missed.append(np.linalg.norm(path - part, axis=1).mean())
    return float(np.mean(missed))


def _ways(model, parts):
    from scipy.spatial import cKDTree

    ways, _ = model.connect(*(np.array([p[i] for p in parts]) for i in (0, -1)))
    return float(np.mean([cKDTree(part).query(way)[0].mean() for way, part in zip(ways, parts)]))
