"""Pairs of places in real volumes: ways between them against what two trackers agree on.

A small volume with 64 directions (2 mm) and one with 101 (2.5 mm, comes with dipy). A pair are the
ends of a curve of EuDX on tensor directions, at least 6 voxels long, if of 40 probabilistic curves
from its middle, on distributions by constrained spherical deconvolution, at least 3 join the same
ends. The reference is the mean of all these. It is what tracking says, not the truth.

The truth is known in phantoms: pieces of the center lines of bundles, in directions of tensors that
are fitted to signals of low b-values, one direction a voxel.
"""

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from sklearn_meg.connectome import ConnectomeMetric, EuclideanMetric, InverseTensorMetric

from ..recordings import recording
from ..report import row

ANISOTROPIES = (6.0, 30.0, 150.0, 500.0)
SHORTEST, NEAR = 6.0, 2.0  # voxels
N_PROBABILISTIC, N_AGREE, MOST = 40, 3, 60
N_POINTS = 30
TENSORS = ((20.0, 1000.0), (12.0, 1000.0), (30.0, 2000.0), (15.0, 700.0))  # SNR and b-value
PIECES, LONGEST = 3, 16.0  # of a center line; voxels


def pair_rows(seed, quick):
    """Mean distance of ways from the reference, in voxels, of every metric; none without dipy."""
    try:
        volumes = [files for files in _files() if files is not None]
    except ImportError as error:
        print(f"real_pairs: left out ({error})")
        return []
    rows = []
    for name, files in volumes[: 1 if quick else None]:
        X, references = pairs_of(files, seed)
        ends = np.array([[line[0], line[-1]] for line in references])
        rows.append(row("real_pairs", name, "n_pairs", seed, len(ends)))
        for model, value in _scores(X, ends, references).items():
            rows.append(row("real_pairs", model, f"connect_{name}", seed, value))
    return rows


def phantom_pair_rows(seed, quick):
    """The same distances for pieces of center lines of phantoms, from directions of tensors."""
    small = {"size": 20, "n_bundles": 3} if quick else {"size": 30, "n_bundles": 8}
    found = {}
    for k, (snr, b) in enumerate(TENSORS[: 1 if quick else None]):
        world = {"snr": snr, "b": b, "n_directions": 32, "random_state": 100 * seed + k}
        X, pieces = phantom_pairs(**small, **world)
        ends = np.array([[line[0], line[-1]] for line in pieces])
        for model, value in _scores(X, ends, pieces).items():
            found.setdefault(model, []).append(value)
    return [
        row("phantom_pairs", model, "connect_voxels", seed, float(np.mean(values)))
        for model, values in found.items()
    ]


def phantom_pairs(**world):
    """Directions of tensors (1, nx, ny, nz, 3), and pieces (n_points, 3) of center lines."""
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    from sklearn_meg.datasets import make_phantom

    phantom = make_phantom(**world)
    gradients = gradient_table(phantom.bvals, bvecs=phantom.bvecs)
    tensors = TensorModel(gradients).fit(phantom.signal, mask=phantom.mask)
    X = np.where(phantom.mask[..., None], tensors.evecs[..., 0], np.nan)[None]
    rng, pieces = np.random.default_rng(world["random_state"]), []
    for line in phantom.centerlines:
        place = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
        for _ in range(PIECES):
            length = rng.uniform(SHORTEST, min(LONGEST, place[-1] - 4))
            at = np.linspace(0, length, N_POINTS) + rng.uniform(2, place[-1] - length - 2)
            piece = np.stack([np.interp(at, place, x) for x in line.T], axis=1)
            if _inside(piece[[0, -1]], phantom.mask):
                pieces.append(piece)
    return X, pieces


def _files():
    import dipy.data

    here, folder = Path(dipy.data.__file__).parent / "files", recording("connectome")
    own = [folder / f"small_64D.{kind}" for kind in ("nii", "bval", "bvec")] if folder else None
    other = [here / f"small_101D.{kind}" for kind in ("nii.gz", "bval", "bvec")]
    return [own and ("64", own), ("101", other)]


def _scores(X, ends, references):
    models = {"default": ConnectomeMetric(), "euclid": EuclideanMetric()}
    tensors = [InverseTensorMetric(anisotropy=a) for a in ANISOTROPIES]
    found = {name: _off(model.fit(X), ends, references) for name, model in models.items()}
    return {**found, "inverse": min(_off(model.fit(X), ends, references) for model in tensors)}


def _off(model, ends, references):
    ways, _ = model.connect(ends[:, 0], ends[:, 1])
    return float(np.mean([cKDTree(r).query(way)[0].mean() for way, r in zip(ways, references)]))


def pairs_of(files, seed):
    """Directions of a volume (1, nx, ny, nz, 3), and references (n_points, 3) in voxels."""
    from sklearn_meg.connectome import fit_tensor_directions

    X, _, _ = fit_tensor_directions(*files)
    X = X / np.linalg.norm(X, axis=-1, keepdims=True)
    mask = np.isfinite(X[0, ..., 0])
    curves = [c for c in _eudx(X, mask) if _length(c) >= SHORTEST]
    curves = [curves[i] for i in np.random.default_rng(seed).permutation(len(curves))[:MOST]]
    track = _probabilistic(files, mask, seed)
    references = []
    for curve in curves:
        agree = [_like(other, curve) for other in track(curve[len(curve) // 2])]
        agree = [other for other in agree if other is not None]
        if len(agree) >= N_AGREE and _inside(curve[[0, -1]], mask):
            references.append(_joined(np.mean([_even(curve), *agree], axis=0), curve))
    return X, references


def _joined(mean, curve):
    """The mean, bent to the ends of the curve."""
    t = np.linspace(0, 1, N_POINTS)[:, None]
    return mean + (1 - t) * (curve[0] - mean[0]) + t * (curve[-1] - mean[-1])


def _like(other, curve):
    """The part of a curve between two ends, or None if it does not come near both."""
    tree = cKDTree(other)
    (a, b), (i, j) = tree.query(curve[[0, -1]])
    if max(a, b) > NEAR or i == j:
        return None
    return _even(other[i : j + 1] if i < j else other[j : i + 1][::-1])


def _even(curve):
    place = np.r_[0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))]
    at = np.linspace(0, place[-1], N_POINTS)
    return np.stack([np.interp(at, place, x) for x in curve.T], axis=1)


def _length(curve):
    return np.linalg.norm(np.diff(curve, axis=0), axis=1).sum() if len(curve) > 1 else 0.0


def _inside(points, mask):
    index = np.round(points).astype(int)
    good = ((index >= 0) & (index < mask.shape)).all(1)
    return bool(good.all() and mask[tuple(index.T)].all())


# ------------------------------------------------------------------ the two trackers of dipy


def _eudx(X, mask):
    from dipy.data import get_sphere
    from dipy.direction.peaks import PeaksAndMetrics

    sphere, found = get_sphere(name="repulsion724"), PeaksAndMetrics()
    found.sphere = sphere
    found.peak_dirs = np.nan_to_num(np.moveaxis(X, 0, -2))
    found.peak_values = mask[..., None].astype(float)
    nearest = np.argmax(np.abs(found.peak_dirs @ sphere.vertices.T), axis=-1)
    found.peak_indices = np.where(mask[..., None], nearest, -1)
    found.qa = found.peak_values
    found.qa_thr, found.ang_thr, found.total_weight = 0.0239, 60, 0.5
    return _tracked(found, mask, np.argwhere(mask).astype(float), 0)


def _probabilistic(files, mask, seed):
    """A function for curves from a place."""
    import nibabel as nib
    from dipy.core.gradients import gradient_table
    from dipy.data import get_sphere
    from dipy.direction import ProbabilisticDirectionGetter
    from dipy.io.gradients import read_bvals_bvecs
    from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel, auto_response_ssst

    data = np.asarray(nib.load(files[0]).dataobj, dtype=float)
    bvals, bvecs = read_bvals_bvecs(str(files[1]), str(files[2]))
    gradients = gradient_table(bvals, bvecs=bvecs)
    response, _ = auto_response_ssst(gradients, data, roi_radii=3, fa_thr=0.5)
    fod = ConstrainedSphericalDeconvModel(gradients, response, sh_order_max=6).fit(data, mask=mask)
    sphere = get_sphere(name="repulsion724")
    tracker = ProbabilisticDirectionGetter.from_shcoeff(
        fod.shm_coeff, max_angle=30.0, sphere=sphere, sh_to_pmf=True
    )
    return lambda place: _tracked(tracker, mask, np.tile(place, (N_PROBABILISTIC, 1)), seed)


def _tracked(tracker, mask, seeds, seed):
    from dipy.tracking.local_tracking import LocalTracking
    from dipy.tracking.stopping_criterion import BinaryStoppingCriterion

    stop = BinaryStoppingCriterion(mask.astype(np.uint8))
    lines = LocalTracking(tracker, stop, seeds, np.eye(4), step_size=0.5, random_seed=seed)
    return [np.asarray(line, dtype=float) for line in lines if len(line) > 1]
