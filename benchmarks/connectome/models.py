"""The baselines of the metric benchmark, each in all the settings that the truth chooses from."""

from sklearn_meg.connectome import (
    AdjugateMetric,
    ConformalMetric,
    EuclideanMetric,
    InverseTensorMetric,
)

TENSORS = {
    "inverse": InverseTensorMetric,
    "adjugate": AdjugateMetric,
    "conformal": ConformalMetric,
}
PEERS = ("euclid", *TENSORS)
ANISOTROPIES = (3.0, 6.0, 15.0, 50.0, 150.0, 500.0, 1500.0)


def baselines(quick=False, affine=None):
    """Models of every baseline, by name.

    quick: One setting each.
    Returns models (dict of list)
    """
    grid = (6.0,) if quick else ANISOTROPIES
    tensors = {
        name: [cls(anisotropy=a, affine=affine) for a in grid] for name, cls in TENSORS.items()
    }
    return {"euclid": [EuclideanMetric(affine=affine)], **tensors}


def smoothed_baselines(quick=False, affine=None):
    """The strongest of them, for directions that are smoothed as ours are."""
    every = baselines(quick, affine)
    return {f"{name}_smoothed": every[name] for name in ("inverse", "conformal")}


def best(candidates):
    """Choose the rows with the least mean deviation."""
    return min(candidates, key=_deviation)


def _deviation(rows):
    return next(r["value"] for r in rows if r["metric"] == "deviation_mean")
