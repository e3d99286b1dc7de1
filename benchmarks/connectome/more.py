"""Signs, known metrics, speed and a real volume, for the benchmark of metrics."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

from sklearn_meg.connectome import ConnectomeMetric, KnownMetric
from sklearn_meg.connectome.metrics import geodesic_deviation
from sklearn_meg.datasets import make_fibers

from ..recordings import recording
from ..report import row
from .fields import integral_curves
from .models import baselines, best

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
        seconds.append(spent / model.n_iter_)  # how many it takes depends on the world
        found = {"n_voxels": counts[-1], "fit_s": spent, "iteration_ms": 1e3 * seconds[-1]}
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
    """Geodesics against streamlines of the field itself in a real volume; none where absent."""
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
    voxel = np.diag([*scale / scale.min(), 1.0])  # in voxels, along the axes of the grid
    ours = ConnectomeMetric(affine=voxel, **({"max_iter": 3} if quick else {}))
    curves = integral_curves(X[0], np.diag(voxel)[:3], 60 if quick else 300)
    models = {"default": [ours], **baselines(quick, voxel)}
    rows = []
    for name, each in models.items():
        rows += best(_real_rows(name, model, X, *curves) for model in each)
    return rows


def _real_rows(name, model, X, curves, directions):
    begun = process_time()
    model.fit(X)
    spent = process_time() - begun
    lengths = [0.5 * (len(c) - 1) for c in curves]
    seeds = np.stack([c[0] for c in curves])
    paths = model.shoot(seeds, directions, max(lengths), within="grid")
    deviation = geodesic_deviation(curves, paths, max(lengths) / (paths.shape[1] - 1))
    found = {
        "fit_s": spent,
        "deviation_mean": np.nanmean(deviation),
        "deviation_median": np.nanmedian(deviation),
    }
    return [row("real", name, metric, 0, value) for metric, value in found.items()]


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
