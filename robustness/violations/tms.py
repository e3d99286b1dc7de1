"""What users of thresholds do to fields, pulses, places and cells."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from sklearn_meg import EFieldSampler, ThresholdCNN
from sklearn_meg.tms import (
    SampledField,
    figure8_coil,
    grid_spacing,
    load_l5_thresholds,
    make_neuron,
    make_tms_dataset,
    read_swc,
    write_swc,
)

from .record import Answer, flag_of, fresh, remembered, violation

N_FIT, N_TEST = 150, 100
SPACING = grid_spacing("L5 PC")


def _sampler(**params):
    return EFieldSampler(heterogeneity=0.8, spacing=SPACING, **params)


@cache
def _places(seed):
    """Rows of places, fields and thresholds of an L5 cell: to fit, then to test."""
    places, thresholds = load_l5_thresholds()
    order = np.random.default_rng(seed).permutation(len(places))[: N_FIT + N_TEST]
    return places[order], _sampler().fit_transform(places[order]), thresholds[order]


def _fitted(X, y, seed, **params):
    params = {"morphology": "L5 PC", "max_epochs": 5, **params}
    return ThresholdCNN(random_state=seed, **params).fit(X[:N_FIT], y[:N_FIT])


@remembered
def _model(seed):
    _, X, y = _places(seed)
    return _fitted(X, y, seed)


def _test(seed):
    """Places, fields and thresholds that the model has not seen."""
    return tuple(part[N_FIT:].copy() for part in _places(seed))


def _asked(seed, X):
    """What the model answers to fields, instead of the thresholds of the test places."""
    model = _model(seed)
    return _answer(model.predict(X), _test(seed)[2], flag_of(model.is_unusual(X)))


def _answer(predicted, truth, flag=None, tolerance=0.03):
    return Answer(np.nanmedian(np.abs(predicted / truth - 1)), tolerance, flag)


def _learned(seed, broken, X, y):
    """What a model that learns from broken fields and thresholds answers at the test places."""
    model = _fitted(X, y, seed) if broken else _model(seed)
    return _answer(model.predict(_test(seed)[1]), _test(seed)[2])


def _intervals(model, X, truth):
    """The flag "intervals" if they are wide and hold the truth as often as they say."""
    low, high = model.predict_interval(X, 0.9).T
    covered = np.mean((low <= truth) & (truth <= high))
    return "intervals" if np.median(high / low) > 1.06 and covered > 0.8 else None


RIGHT = "thresholds within 3 %"


@fresh("ThresholdCNN")
def fresh_fields(seed):
    """Fields of places that were not used."""
    return _model(seed), _test(seed)[1]


# ---------------------------------------------------------------------- asking a model


@violation("fields in V/mm", right=RIGHT)
def volts_per_millimeter(seed, broken):
    """Fields to be predicted are exported in another unit than those of fit."""
    return _asked(seed, _test(seed)[1] / (1000 if broken else 1))


@violation("another pulse", right="an error")
def other_pulse(seed, broken):
    """A model of monophasic pulses is asked about biphasic ones."""
    _, X, y = _test(seed)
    return _answer(_model(seed).predict(X, pulse="biphasic" if broken else "monophasic"), y)


@violation("another clone", right="an error")
def other_clone(seed, broken):
    """A model of one neuron is asked about another of its type."""
    _, X, y = _test(seed)
    return _answer(_model(seed).predict(X, morphology=make_neuron("L5 PC", int(broken))), y)


@violation("axes of the grid in another order", right=RIGHT)
def swapped_axes(seed, broken):
    """Grids are written with z first, as images are."""
    X = _test(seed)[1]
    return _asked(seed, X.transpose(0, 3, 2, 1, 4) if broken else X)


@violation("fields in the frame of the head", right=RIGHT)
def head_frame(seed, broken):
    """Points are turned with the neurons, vectors are not."""
    places, X, _ = _test(seed)
    if broken:
        rng = np.random.default_rng(seed)
        turns = np.linalg.qr(rng.normal(size=(len(places), 3, 3)))[0]
        X = np.einsum("nij,nxyzj->nxyzi", turns, X)
    return _asked(seed, X)


@violation("a homogeneous head", right=RIGHT)
def homogeneous_head(seed, broken):
    """The model learned in folded cortex; new fields are of a sphere without folds."""
    places, X, _ = _test(seed)
    return _asked(seed, EFieldSampler(spacing=SPACING).fit_transform(places) if broken else X)


@violation("another grid", right=RIGHT)
def other_grid(seed, broken):
    """New grids have twice the spacing of those of fit."""
    places, X, _ = _test(seed)
    wide = EFieldSampler(heterogeneity=0.8, spacing=2 * SPACING)
    return _asked(seed, wide.fit_transform(places) if broken else X)


@violation("no normal component", right=RIGHT)
def flat_field(seed, broken):
    """The program gives the tangential field only; the component along z is zero."""
    X = _test(seed)[1]
    X[..., 2] *= not broken
    return _asked(seed, X)


@violation("a grid that is filled with zeros", right=RIGHT)
def zero_filled(seed, broken):
    """Points outside the mesh come as zeros: a third of each grid."""
    X = _test(seed)[1]
    if broken:
        X[:, :, :, :3] = 0
    return _asked(seed, X)


# ---------------------------------------------------------------------- places and files


@violation("azimuths in degrees", right=RIGHT)
def degrees(seed, broken):
    """Azimuths are in degrees, as in the coordinates of a stimulator."""
    places, X, _ = _test(seed)
    places[:, 6] = np.rad2deg(places[:, 6])
    return _asked(seed, _sampler().fit_transform(places) if broken else X)


@violation("axes that point inward", right=RIGHT)
def inward_axes(seed, broken):
    """Normals of the mesh point into the head, and stand for the axes of the neurons."""
    places, X, _ = _test(seed)
    places[:, 3:6] *= -1
    return _asked(seed, _sampler().fit_transform(places) if broken else X)


@violation("positions in mm", right="an error")
def millimeters(seed, broken):
    """Positions are in mm, as programs of stimulation write them."""
    places, *_ = _test(seed)
    places[:, :3] *= 1000 if broken else 1
    return _asked(seed, _sampler().fit_transform(places))


@violation("points outside the field", right="an error")
def outside_field(seed, broken):
    """The field was computed on one patch, the neuron sits two centimeters beside it."""
    points = np.random.default_rng(seed).uniform(-0.01, 0.01, size=(400, 3))
    slope = np.array([30.0, 0.0, 0.0])
    field = SampledField(points, np.outer(1 + points @ slope, [1.0, 0.5, 0.2]))
    at = np.array([[0.03 if broken else 0.003, 0.0, 0.0]])
    return Answer(np.abs(field(at)[0, 0] - (1 + at @ slope)[0]), 0.01)


@violation("pose of the coil in mm", right="an error")
def pose_in_millimeters(seed, broken):
    """The matrix of the coil is in mm."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 92.5 if broken else 0.0925
    coil = figure8_coil().at(pose)
    return Answer(np.abs(coil.positions[:, 2].mean() - 0.0925), 0.02)


@violation("a morphology in mm", right="an error or a warning")
def morphology_in_millimeters(seed, broken):
    """An SWC file is in mm, the format in micrometers: the cell is a thousandth of its size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.swc"
        write_swc(make_neuron("L5 PC", 0), path)
        if broken:
            rows = [line.split() for line in path.read_text().splitlines() if line[0] != "#"]
            for cells in rows:
                cells[2:6] = [str(float(value) / 1000) for value in cells[2:6]]
            path.write_text("\n".join(" ".join(cells) for cells in rows))
        extent = np.ptp(read_swc(path).points, axis=0).max()
    return Answer(float(extent < 100), 0)


# ---------------------------------------------------------------------- learning


@violation("thresholds in V/m", right=RIGHT)
def thresholds_as_fields(seed, broken):
    """Thresholds are given as the field at the soma."""
    _, X, y = _places(seed)
    return _learned(seed, broken, X, y * np.linalg.norm(X[:, 4, 4, 4], axis=1))


@violation("thresholds in mA/us", right=RIGHT)
def milliampere(seed, broken):
    """Thresholds come in other units, a millionth of those of the fields."""
    _, X, y = _places(seed)
    return _learned(seed, broken, X, y * 1e-6)


@violation("capped thresholds", right=RIGHT)
def capped(seed, broken):
    """Where a neuron did not fire, the largest amplitude that was tried stands as its threshold."""
    _, X, y = _places(seed)
    return _learned(seed, broken, X, np.minimum(y, np.quantile(y, 0.6)))


@violation("infinite thresholds", right="an error")
def infinite(seed, broken):
    """Where a neuron did not fire, its threshold is infinite."""
    _, X, y = _places(seed)
    return _learned(seed, broken, X, np.where(y > np.quantile(y, 0.9), np.inf, y))


@violation("thresholds in another order", right=RIGHT)
def shuffled(seed, broken):
    """Files of fields and of thresholds are sorted differently."""
    _, X, y = _places(seed)
    return _learned(seed, broken, X, np.random.default_rng(seed).permutation(y))


@violation("reversed current", right=RIGHT)
def reversed_current(seed, broken):
    """Fields to learn from are of current in the other direction than that of the thresholds."""
    _, X, y = _places(seed)
    return _learned(seed, broken, -X, y)


@violation("a pulse that nobody names", right=RIGHT)
def unnamed_pulse(seed, broken):
    """Thresholds were simulated with biphasic pulses; the model is of its default."""
    _, X, y = _places(seed)
    if broken:
        data = make_tms_dataset("L5 PC", 16, pulse="biphasic", random_state=seed, verbose=0)
        X, y = data["grids"], data["threshold"]
    return _learned(seed, broken, X, y)


@violation("the morphology of another type", right=RIGHT)
def other_type(seed, broken):
    """Thresholds of a layer 5 cell are learned with the morphology of a layer 2/3 cell."""
    _, X, y = _places(seed)
    other = {"morphology": "L2/3 PC", "spacing": SPACING}
    model = _fitted(X, y, seed, **other) if broken else _model(seed)
    _, X, truth = _test(seed)
    return _answer(model.predict(X), truth, _intervals(model, X, truth))


@violation("searches that failed", right=RIGHT)
def failed_searches(seed, broken):
    """One threshold in ten is ten times too large."""
    _, X, y = _places(seed)
    wrong = np.random.default_rng(seed).random(len(y)) < 0.1
    return _learned(seed, broken, X, np.where(wrong, 10 * y, y))


@violation("fields that come twice", right="90 % intervals that hold at least 80 %")
def repeated(seed, broken):
    """Files were joined twice: every field comes twice, with labels that are a little noisy."""
    _, X, y = _places(seed)
    noisy = y[:N_FIT] * np.exp(0.1 * np.random.default_rng(seed).normal(size=N_FIT))
    rows = np.r_[: N_FIT // 2, : N_FIT // 2] if broken else np.arange(N_FIT)
    model = _fitted(X[rows], noisy[rows], seed)
    low, high = model.predict_interval(_test(seed)[1], 0.9).T
    new = _test(seed)[2] * np.exp(0.1 * np.random.default_rng(seed + 1).normal(size=N_TEST))
    return Answer(1 - np.mean((low <= new) & (new <= high)), 0.2)
