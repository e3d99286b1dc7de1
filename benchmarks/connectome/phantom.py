"""A phantom of bundles that are known: connections, tracts and connectivity, beside tracking."""

from time import process_time

import numpy as np
from scipy.spatial import cKDTree
from sklearn.metrics import roc_auc_score

from sklearn_meg.connectome import (
    ConnectomeMetric,
    EuclideanMetric,
    FiberDistributionMetric,
    InverseTensorMetric,
)
from sklearn_meg.datasets import make_phantom

from ..report import row

SNRS = {"phantom10": 10.0, "phantom20": 20.0, "phantom_inf": np.inf}
ANISOTROPIES = (6.0, 30.0, 150.0)  # of the inverse tensor; the truth chooses
N_AGREEMENT = 150  # starts that agreement is measured with
SURE = 0.8  # agreement from which a geodesic is trusted
NEAR = 1.5  # voxels from an end region that count as reaching it
RAW = FiberDistributionMetric(sharpen=False, share=0.2, min_amplitude=0.15, separation=25.0)
TRACKERS = ("eudx", "eudx_sharpened", "deterministic", "probabilistic")


def phantom_rows(case, seed, quick):
    """Rows of our two estimators, of metrics, and of the trackers of dipy."""
    small = {"size": 18, "n_bundles": 2} if quick else {}
    phantom = make_phantom(snr=SNRS[case], random_state=seed, **small)
    fod = phantom.fod
    begun = process_time()
    default = FiberDistributionMetric().fit(fod)
    rows = [row(case, "default", "fit_s", seed, process_time() - begun)]
    rows += metric_rows(case, "default", seed, default, phantom)
    rows += agreement_rows(case, seed, default, phantom)
    X = default.directions_
    begun = process_time()
    peaks = ConnectomeMetric().fit(*_raw_peaks(default, fod))
    rows.append(row(case, "peaks", "fit_s", seed, process_time() - begun))
    rows += metric_rows(case, "peaks", seed, peaks, phantom)
    for name, fields in (("inverse", peaks_of(fod)), ("inverse_smoothed", X)):
        found = [
            metric_rows(case, name, seed, InverseTensorMetric(anisotropy=a).fit(fields), phantom)
            for a in (ANISOTROPIES[:1] if quick else ANISOTROPIES)
        ]
        rows += max(found, key=lambda each: _value(each, "auc") + _value(each, "connect_share"))
    rows += metric_rows(case, "euclid", seed, EuclideanMetric().fit(X), phantom, tracts=False)
    for name in TRACKERS[: 1 if quick else None]:
        rows += tracking_rows(case, name, seed, phantom, fod)
    return rows


def _value(rows, metric):
    return next(r["value"] for r in rows if r["metric"] == metric)


def _raw_peaks(model, fod):
    """Sharpened peaks as they were found, and their amplitudes."""
    peaks, amplitude, _ = model._find(fod, None)
    return peaks, None, None, amplitude


def peaks_of(fod):
    """Peaks of distributions as they are: not sharpened, not smoothed."""
    return RAW._find(fod, None)[0]


# ------------------------------------------------------------------ what is measured


def metric_rows(case, name, seed, model, phantom, tracts=True):
    """Connections between end regions, geodesics from them, bundles, connectivity."""
    begun = process_time()
    found = {**connect_scores(model, phantom), "auc": auc(model, phantom)}
    if tracts:
        found["shoot_share"] = shoot_share(model, phantom)
        found["follow_share"] = shoot_share(model, phantom, follow=1.0)
        seeds = np.argwhere(model.mask_).astype(float)
        found |= tract_scores(model.bundle(seeds), phantom)
    found["use_s"] = process_time() - begun
    return [row(case, name, metric, seed, value) for metric, value in found.items()]


def end_points(phantom):
    """Voxel of each end region that is nearest to its middle."""
    points = []
    for region in range(1, 2 * len(phantom.bundles) + 1):
        voxels = np.argwhere(phantom.labels == region)
        off = np.linalg.norm(voxels - voxels.mean(0), axis=1)
        points.append(voxels[off.argmin()])
    return np.array(points, dtype=float)


def connect_scores(model, phantom):
    """Share of pairs whose whole path is inside the bundle, distance to its center line (mm)."""
    ends = end_points(phantom)
    paths, _ = model.connect(ends[::2], ends[1::2])
    whole, off = [], []
    for path, inside, line in zip(paths, phantom.bundles, phantom.centerlines):
        whole.append(inside[tuple(np.round(path).astype(int).T)].all())
        off.append(cKDTree(line).query(path)[0].mean())
    return {"connect_share": float(np.mean(whole)), "connect_mm": float(np.mean(off))}


def shoot_share(model, phantom, follow=0.0):
    """Share of end regions from which a geodesic, along the true tangent, reaches the other."""
    ends, regions = end_points(phantom), np.arange(2 * len(phantom.bundles))
    paths = model.shoot(*_starts(phantom, ends, regions), follow=follow)
    return float(_reached(phantom, paths, regions).mean())


def _starts(phantom, ends, regions):
    """Points, true tangents to the inside, and a length that is enough."""
    middle = (np.array(phantom.mask.shape) - 1) / 2
    v = phantom.directions[(regions // 2, *ends.astype(int).T)]
    tangents = v * np.sign((v * (middle - ends)).sum(1, keepdims=True))
    return ends, tangents, 1.3 * max(_length(line) for line in phantom.centerlines)


def _reached(phantom, paths, regions):
    """Whether paths end at the other region of their bundle."""
    found = []
    for region, path in zip(regions, paths):
        last = path[np.isfinite(path[:, 0])][-1]
        other = np.argwhere(phantom.labels == (region ^ 1) + 1)
        found.append(np.linalg.norm(other - last, axis=1).min() < NEAR)
    return np.array(found)


def agreement_rows(case, seed, model, phantom):
    """Whether the model knows which geodesics, from all over the end regions, go astray."""
    ends = np.argwhere(phantom.labels > 0)
    ends = ends[np.random.default_rng(seed).permutation(len(ends))[:N_AGREEMENT]]
    regions = phantom.labels[tuple(ends.T)] - 1
    starts = _starts(phantom, ends.astype(float), regions)
    good = _reached(phantom, model.shoot(*starts, follow=1.0), regions)
    agreement = model.agreement(*starts, follow=1.0)
    sure = agreement >= SURE
    found = {"reached_share": good.mean(), "sure_share": sure.mean()}
    if 0 < good.sum() < len(good):
        found["agreement_auc"] = roc_auc_score(good, agreement)
    if sure.any():
        found["sure_reached_share"] = good[sure].mean()
    return [row(case, "default", metric, seed, value) for metric, value in found.items()]


def tract_scores(curves, phantom):
    """Share of valid connections, of bundles found, and of their voxels reached."""
    voxels = np.argwhere(phantom.labels > 0)
    region = phantom.labels[tuple(voxels.T)] - 1
    tree, last = cKDTree(voxels), np.array(phantom.mask.shape) - 1
    reached, valid = np.zeros_like(phantom.bundles), []
    for curve in curves:
        distance, nearest = tree.query(curve[[0, -1]])
        a, b = region[nearest]
        good = (distance < NEAR).all() and a != b and a // 2 == b // 2
        valid.append(good)
        if good:
            index = np.clip(np.round(curve).astype(int), 0, last)
            reached[a // 2][tuple(index.T)] = True
    overlap = [(r & b).sum() / b.sum() for r, b in zip(reached, phantom.bundles)]
    return {
        "valid": float(np.mean(valid)),
        "bundles_share": float(reached.any((1, 2, 3)).mean()),
        "overlap": float(np.mean(overlap)),
    }


def auc(model, phantom, kind="distance"):
    """Area under the curve of the connectivity between all end regions."""
    matrix, regions = model.geodesic_connectivity(phantom.labels, kind=kind, radius=0.0)
    return _auc(-matrix, regions)


def _auc(closeness, regions):
    i, j = np.triu_indices(len(regions), 1)
    joined = (regions[i] - 1) // 2 == (regions[j] - 1) // 2
    values = closeness[i, j]
    lowest = values[np.isfinite(values)].min() - 1 if np.isfinite(values).any() else 0
    return float(roc_auc_score(joined, np.where(np.isfinite(values), values, lowest)))


def _length(line):
    return np.linalg.norm(np.diff(line, axis=0), axis=1).sum()


# ------------------------------------------------------------------ trackers of dipy


def tracking_rows(case, name, seed, phantom, fod):
    """A tracker of dipy with a seed in each voxel."""
    from dipy.tracking.local_tracking import LocalTracking
    from dipy.tracking.stopping_criterion import BinaryStoppingCriterion

    begun = process_time()
    seeds = np.argwhere(phantom.mask).astype(float)
    stop = BinaryStoppingCriterion(phantom.mask.astype(np.uint8))
    tracker = _tracker(name, phantom, fod)
    lines = LocalTracking(tracker, stop, seeds, np.eye(4), step_size=0.5, random_seed=seed)
    curves = [np.asarray(line) for line in lines if len(line) > 1]
    found = tract_scores(curves, phantom)
    regions = np.arange(1, 2 * len(phantom.bundles) + 1)
    found["auc"] = _auc(_counts(curves, phantom, regions), regions)
    found["use_s"] = process_time() - begun
    return [row(case, name, metric, seed, value) for metric, value in found.items()]


def _tracker(name, phantom, fod):
    from dipy.data import get_sphere
    from dipy.direction import DeterministicMaximumDirectionGetter, ProbabilisticDirectionGetter

    sphere = get_sphere(name="repulsion724")
    if name.startswith("eudx"):
        model = RAW if name == "eudx" else FiberDistributionMetric()
        return _eudx(model, fod, sphere, phantom.mask)
    kind = {
        "deterministic": DeterministicMaximumDirectionGetter,
        "probabilistic": ProbabilisticDirectionGetter,
    }[name]
    return kind.from_shcoeff(fod, max_angle=30.0, sphere=sphere, sh_to_pmf=True)


def _eudx(model, fod, sphere, mask):
    from dipy.direction.peaks import PeaksAndMetrics

    peaks, amplitude, _ = model._find(fod, mask)
    found = PeaksAndMetrics()
    found.sphere = sphere
    found.peak_dirs = np.nan_to_num(np.moveaxis(peaks, 0, -2))
    found.peak_values = np.nan_to_num(np.moveaxis(amplitude, 0, -1))
    nearest = np.argmax(np.abs(found.peak_dirs @ sphere.vertices.T), axis=-1)
    there = np.isfinite(np.moveaxis(peaks, 0, -2)[..., 0])
    found.peak_indices = np.where(there, nearest, -1)
    found.qa = found.peak_values / found.peak_values.max()
    found.qa_thr, found.ang_thr, found.total_weight = 0.0239, 60, 0.5
    return found


def _counts(curves, phantom, regions):
    """Number of curves whose ends are in two regions."""
    voxels = np.argwhere(phantom.labels > 0)
    tree, region = cKDTree(voxels), phantom.labels[tuple(voxels.T)] - 1
    matrix = np.zeros((len(regions),) * 2)
    for curve in curves:
        distance, nearest = tree.query(curve[[0, -1]])
        if (distance < NEAR).all():
            a, b = region[nearest]
            matrix[a, b] += 1
            matrix[b, a] += a != b
    return matrix
