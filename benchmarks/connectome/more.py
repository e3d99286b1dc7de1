"""Signs, known metrics, speed and a real volume, for the benchmark of metrics."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
from scipy.ndimage import distance_transform_edt

from sklearn_meg.connectome import ConnectomeMetric, KnownMetric
from sklearn_meg.connectome.metrics import geodesic_deviation
from sklearn_meg.datasets import make_fibers

from ..recordings import recording
from ..report import row
from .bundles import bundle_rows, more_bundle_rows
from .fields import STEP, integral_curves, make_brain_like
from .models import baselines, best, smoothed_baselines
from .pairs import pair_rows, phantom_pair_rows

SIZES = (32, 48, 64, 80)  # of the arcs whose fits are timed
# The high-water mark of this process alone: that of getrusage starts with its parent's.
MEMORY = """
import sys
import numpy as np
from sklearn_meg.connectome import ConnectomeMetric
from sklearn_meg.datasets import make_fibers

def peak_kb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

ConnectomeMetric(max_iter=1).fit(make_fibers("arcs", size=12, n_curves=1).X)
X = np.load(sys.argv[1])
before = peak_kb()
ConnectomeMetric(max_iter=25).fit(X)
print((peak_kb() - before) / 1024)
"""


def flip_rows(quick):
    """Largest difference between the metrics of a field and of the same with other signs."""
    fit = {"max_iter": 3} if quick else {}
    size = 16 if quick else 64
    fibers = make_fibers("annulus", size=size, noise=5, random_state=0)
    turned = fibers.X * np.random.default_rng(1).choice([-1, 1], fibers.X.shape[:-1])[..., None]
    one, two = (ConnectomeMetric(**fit).fit(X).metric_[fibers.mask] for X in (fibers.X, turned))
    return [row("flips", "default", "change", 0, np.abs(one - two).max())]


def two_point_rows(quick):
    """Largest errors of geodesic distances on metrics known in closed form, 65 x 65 samples."""
    n = 17 if quick else 65
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, n)
    y = 0.5 + 4 * t
    half_plane = np.eye(2) / y[None, :, None, None] ** 2 * np.ones((n, 1, 1, 1))
    sphere = np.broadcast_to(np.eye(2), (n, n, 2, 2)).copy()
    sphere[..., 1, 1] = (np.sin(0.4 + 2.3 * t) ** 2)[:, None]
    rows = []
    for name, g, origin, width, true in (
        ("half_plane", half_plane, (0.0, 0.5), 4.0, _half_plane_distance),
        ("sphere", sphere, (0.4, 0.0), 2.3, _sphere_distance),
    ):
        affine = np.diag([width / (n - 1)] * 2 + [1.0])
        affine[:2, 2] = origin
        a, b = np.asarray(origin) + width * rng.uniform(0.1, 0.9, (2, 20, 2))
        found = KnownMetric(g, affine=affine).distance(a, b)
        rows.append(row("two_point", name, "error", 0, np.abs(found - true(a, b)).max()))
    return rows


def _half_plane_distance(a, b):
    return np.arccosh(1 + ((a - b) ** 2).sum(1) / (2 * a[:, 1] * b[:, 1]))


def _sphere_distance(a, b):
    cosine = np.cos(a[:, 0]) * np.cos(b[:, 0])
    cosine += np.sin(a[:, 0]) * np.sin(b[:, 0]) * np.cos(a[:, 1] - b[:, 1])
    return np.arccos(cosine)


def speed_rows(quick):
    """CPU seconds and memory of fits to arcs on larger and larger grids."""
    sizes = (16, 20) if quick else SIZES
    fit = {"max_iter": 3} if quick else {}
    counts, seconds, rows = [], [], []
    for size in sizes:
        fibers = make_fibers("arcs", size=size, n_curves=1)
        model = ConnectomeMetric(**fit)
        begun = process_time()
        model.fit(fibers.X)
        spent = process_time() - begun
        counts.append(int(fibers.mask.sum()))
        seconds.append(spent)
        found = {"n_voxels": counts[-1], "fit_s": spent}
        rows += [row("speed", f"cube{size}", key, 0, value) for key, value in found.items()]
    slope = np.polyfit(np.log(counts), np.log(seconds), 1)[0]
    rows.append(row("speed", "scaling", "exponent", 0, slope))
    if not quick and Path("/proc/self/status").exists():
        rows.append(row("speed", "cube64", "peak_mb", 0, _peak_mb(64)))
    return rows


def _peak_mb(size):
    """What a fit adds to the memory of a process that has the fields."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "X.npy"
        np.save(file, make_fibers("arcs", size=size, n_curves=1).X)
        command = [sys.executable, "-c", MEMORY, str(file)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def real_rows(quick):
    """Geodesics against integral curves of a small real volume; none where it is absent."""
    try:
        fields = real_fields()
    except ImportError as error:
        print(f"real: left out ({error})")
        return []
    if fields is None:
        print("real: left out (no volume in SKLEARN_MEG_DATA)")
        return []
    X, affine = fields
    scale = np.linalg.norm(affine[:3, :3], axis=0)
    return field_rows("real", X, scale / scale.min(), 0, quick, shortest=4.0)


def brain_like_rows(seed, quick):
    """The same in a field like that of a whole brain."""
    size = (20, 22, 18) if quick else (50, 58, 44)
    return field_rows("brain_like", make_brain_like(seed, size), np.ones(3), seed, quick)


def field_rows(case, X, scale, seed, quick, shortest=8.0):
    """Geodesics of all metrics against integral curves of the field as it was measured."""
    affine = np.diag([*scale, 1.0])
    curves = integral_curves(X[0], scale, 40 if quick else 300, shortest, seed=seed)
    ours = ConnectomeMetric(affine=affine, **({"max_iter": 3} if quick else {}))
    rows = _field_rows(case, "default", ours, X, seed, *curves)
    rows += _deviations(case, "follow", ours, seed, *curves, follow=1.0)
    rows += _sure_rows(case, ours, seed, *curves)
    for name, models in baselines(quick, affine).items():
        rows += best(_possible(case, name, models, X, seed, *curves))
    smoothed = smoothed_by(ours, X)
    for name, models in smoothed_baselines(quick, affine).items():
        rows += best(_possible(case, name, models, smoothed, seed, *curves))
    return rows


def smoothed_by(model, X):
    """Directions smoothed as by the fitted model, or by its window if it left them as they are."""
    if model.is_smoothed_:
        return model.directions_
    params = {"method": "fibers", "anisotropy": 30.0, "window": model.window_}
    return ConnectomeMetric(affine=model.affine, **params).fit(X).directions_


def _possible(case, name, models, *world):
    """Rows of every setting that gives a metric at all: conformal factors can overflow."""
    for model in models:
        try:
            yield _field_rows(case, name, model, *world)
        except ValueError:
            if len(models) == 1:
                raise


def _field_rows(case, name, model, X, seed, curves, directions):
    begun = process_time()
    model.fit(X)
    spent = row(case, name, "fit_s", seed, process_time() - begun)
    return [spent, *_deviations(case, name, model, seed, curves, directions)]


def _sure_rows(case, model, seed, curves, directions):
    """Share of geodesics that the model itself is sure of, and their deviation."""
    step = STEP * model._space.scale.min()
    shots = [c[0] for c in curves], directions, step * max(len(c) - 1 for c in curves)
    spread = model.spread(*shots)
    sure = np.array([np.nanmax(s[: len(c)]) <= 4 * step for s, c in zip(spread, curves)])
    rows = [row(case, "sure", "sure_share", seed, sure.mean())]
    if sure.any():
        few = [c for c, good in zip(curves, sure) if good]
        rows += _deviations(case, "sure", model, seed, few, directions[sure])
    return rows


def _deviations(case, name, model, seed, curves, directions, follow=0.0):
    step = STEP * model._space.scale.min()
    longest = step * max(len(c) - 1 for c in curves)
    seeds = np.stack([c[0] for c in curves])
    paths = model.shoot(seeds, directions, longest, within="grid", follow=follow)
    deviation = geodesic_deviation(curves, paths, longest / (paths.shape[1] - 1))
    found = {"deviation_mean": np.nanmean(deviation), "deviation_median": np.nanmedian(deviation)}
    return [row(case, name, metric, seed, value) for metric, value in found.items()]


def outside_rows(seed, quick):
    """How far ways between random pairs of points leave the mask."""
    X = make_brain_like(seed, (20, 22, 18) if quick else (50, 58, 44))
    model = ConnectomeMetric(method="fibers", anisotropy=100.0).fit(X)
    places = np.argwhere(model.mask_)
    rng, n = np.random.default_rng(seed), 20 if quick else 1000
    pairs = places[rng.integers(len(places), size=(2, n))].astype(float)
    paths, _ = model.connect(*pairs)
    depth = distance_transform_edt(~model.mask_)
    index = np.round(paths).astype(int)
    # From the middle of a voxel outside to the nearest one inside is a voxel: half a one is left.
    outside = np.maximum(depth[tuple(np.moveaxis(index, -1, 0))] - 0.5, 0)
    return [row("outside", "default", "voxels", seed, outside.max())]


def real_fields():
    """Directions of the small real volume, None where it is absent."""
    from sklearn_meg.connectome import fit_tensor_directions

    folder = recording("connectome")
    if folder is None:
        return None
    names = (folder / f"small_64D.{kind}" for kind in ("nii", "bval", "bvec"))
    X, affine, _ = fit_tensor_directions(*names)
    return X, affine


ROWS = {"flips": flip_rows, "two_point": two_point_rows, "speed": speed_rows, "real": real_rows}
SEEDED = {
    "brain_like": brain_like_rows,
    "outside": outside_rows,
    "real_bundles": bundle_rows,
    "more_bundles": more_bundle_rows,
    "real_pairs": pair_rows,
    "phantom_pairs": phantom_pair_rows,
}
