"""Continuous recordings in windows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_meg import (
    ChannelScaler,
    DeepRecurrentEncoder,
    RecurrentTRF,
    SubjectMean,
    TemporalReceptiveField,
    cut_windows,
    pack_rows,
    predict_continuous,
    stitch_windows,
)
from sklearn_meg.encoding import windows as _windows

N = 730


@pytest.fixture(scope="module")
def recording():
    """Two stimulus rows, and a recurrent response of three channels to them."""
    rng = np.random.default_rng(0)
    stimulus = rng.normal(size=(2, N))
    drive = rng.normal(size=(3, 2)) @ stimulus
    meg = np.zeros((3, N))
    for t in range(1, N):
        meg[:, t] = 0.7 * meg[:, t - 1] + drive[:, t] + 0.1 * rng.normal(size=3)
    return stimulus, meg


@pytest.mark.parametrize("keep_last", [False, True])
@pytest.mark.parametrize(("length", "step"), [(50, 50), (50, 20), (64, 7), (N, 1), (1, 1)])
def test_windows_are_the_samples_from_their_start(recording, length, step, keep_last):
    _, meg = recording
    before = meg.copy()
    windows, starts = cut_windows(meg, length, step, keep_last=keep_last)
    assert windows.shape == (len(starts), 3, length)
    for window, start in zip(windows, starts):
        assert_array_equal(window, meg[:, start : start + length])
    assert_array_equal(np.diff(starts)[:-1], step)
    end = starts[-1] + length
    assert end == N if keep_last else N - step < end <= N
    windows[:] = 0  # a copy
    assert_array_equal(meg, before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("taper", ["hann", None])
@pytest.mark.parametrize(
    ("length", "step", "skip"), [(50, 50, 0), (50, 20, 0), (50, 20, 30), (64, 7, 12), (N, 1, 5)]
)
def test_stitching_undoes_cutting(recording, length, step, skip, taper, dtype):
    meg = recording[1].astype(dtype)
    windows, starts = cut_windows(meg, length, step)
    again = stitch_windows(windows, starts, N, skip=skip, taper=taper)
    assert again.dtype == dtype
    assert_array_equal(again, meg)
    order = np.random.default_rng(0).permutation(len(starts))
    shuffled = stitch_windows(windows[order], starts[order], N, skip=skip, taper=taper)
    assert_array_equal(shuffled, meg)


def test_overlap_is_averaged_and_the_skipped_part_is_not_used():
    windows = np.array([[[1.0, 1, 1, 1]], [[9.0, 3, 3, 3]]])
    plain = stitch_windows(windows, [0, 2], 6, taper=None)
    assert_allclose(plain, [[1, 1, 5, 2, 3, 3]])
    assert_allclose(stitch_windows(windows, [0, 2], 6, skip=1, taper=None), [[1, 1, 1, 2, 3, 3]])
    windows[1, 0, 0] = np.nan
    assert_allclose(stitch_windows(windows, [0, 2], 6, skip=1, taper=None), [[1, 1, 1, 2, 3, 3]])


def test_taper_goes_over_smoothly():
    windows = np.array([np.zeros((1, 100)), np.ones((1, 100))])
    jumps = {
        taper: np.abs(np.diff(stitch_windows(windows, [0, 50], 150, taper=taper))).max()
        for taper in ("hann", None)
    }
    assert jumps["hann"] < 0.05 < 0.4 < jumps[None]


BAD = {
    "longer than the recording": (cut_windows, (np.ones((2, 9)), 10, 1), "has 9 samples"),
    "length 0": (cut_windows, (np.ones((2, 9)), 0, 1), "length must be a positive int"),
    "half a step": (cut_windows, (np.ones((2, 9)), 3, 0.5), "step must be a positive int"),
    "3-D": (cut_windows, (np.ones((2, 9, 1)), 3, 1), r"raw.get_data\(\)"),
    "gap": (stitch_windows, (np.ones((2, 1, 3)), [0, 4], 7), "Sample 3 is in none"),
    "gap at the end": (stitch_windows, (np.ones((2, 1, 3)), [0, 3], 7), "Sample 6 is in none"),
    "gap at the start": (stitch_windows, (np.ones((2, 1, 3)), [1, 4], 7), "Sample 0 is in none"),
    "outside": (stitch_windows, (np.ones((2, 1, 3)), [0, 3], 5), "starts must be ints from 0 to 2"),
    "one start": (stitch_windows, (np.ones((2, 1, 3)), [0], 5), "one start"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_a_clear_error(what):
    function, arguments, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        function(*arguments)
    with pytest.raises(ValueError, match="skip must be an int from 0 to 2"):
        stitch_windows(np.ones((1, 1, 3)), [0], 3, skip=3)
    with pytest.raises(ValueError, match="taper must be"):
        stitch_windows(np.ones((1, 1, 3)), [0], 3, taper="boxcar")


# ------------------------------------------------------------------ predict_continuous


def fit_on_windows(model_of, stimulus, meg, length=60, step=30, **parts):
    X, _ = cut_windows(stimulus, length, step)
    y, _ = cut_windows(meg, length, step)
    if "n_initial" in parts:
        parts["initial"] = y
    X, rows = pack_rows(X, **parts)
    return model_of(rows).fit(X, y)


def test_a_causal_filter_predicts_as_if_never_cut(recording):
    stimulus, meg = recording
    trf = fit_on_windows(lambda rows: TemporalReceptiveField(tmax=9, **rows), stimulus, meg)
    predicted = predict_continuous(trf, stimulus, skip=9)
    # Before the recording a lag meets the mean of training.
    mean = trf.subject_feature_mean_[0][:, None]
    whole = sum(
        trf.coef_[:, :, lag] @ (np.pad(stimulus - mean, ((0, 0), (lag, 0)))[:, :N] + mean)
        for lag in trf.delays_.tolist()
    )
    assert_allclose(predicted, whole + trf.intercept_[:, None], atol=1e-10)
    assert_allclose(predict_continuous(trf, stimulus, 60, 13, skip=9), predicted, atol=1e-10)
    assert_allclose(predict_continuous(trf, stimulus), predicted, atol=1e-10)  # by default
    apart = predict_continuous(trf, stimulus, step=trf.n_times_in_)  # nothing to warm up on
    assert apart.shape == predicted.shape


def test_batches_and_layout_do_not_matter(recording, tmp_path, monkeypatch):
    stimulus, meg = recording
    trf = fit_on_windows(lambda rows: TemporalReceptiveField(tmax=9, **rows), stimulus, meg)
    expected = predict_continuous(trf, stimulus)
    np.save(tmp_path / "stimulus.npy", stimulus)
    mapped = np.load(tmp_path / "stimulus.npy", mmap_mode="r")
    assert_allclose(predict_continuous(trf, mapped, batch_size=3), expected, atol=1e-12)
    assert_allclose(predict_continuous(trf, np.asfortranarray(stimulus)), expected, atol=1e-12)
    seen = []
    predict = TemporalReceptiveField.predict
    monkeypatch.setattr(
        TemporalReceptiveField,
        "predict",
        lambda self, X: (seen.append(len(X)), predict(self, X))[1],
    )
    monkeypatch.setattr(_windows, "CHUNK_BYTES", 5 * 8 * 2 * 60)
    assert_allclose(predict_continuous(trf, stimulus), expected, atol=1e-12)
    assert max(seen) == 5  # never more windows at a time


def test_forecast_from_the_measured_beginnings(recording):
    stimulus, meg = recording

    def model_of(rows):
        pipeline = make_pipeline(ChannelScaler(**rows), RecurrentTRF(n_past=2, tmax=2, **rows))
        return GridSearchCV(pipeline, {"recurrenttrf__cv": [2, 3]}, cv=2)

    n = len(cut_windows(meg, 60, 30)[0])
    mask = np.ones((n, 60))
    search = fit_on_windows(
        model_of, stimulus, meg, subjects=np.zeros(n, int), n_initial=10, mask=mask
    )
    predicted = predict_continuous(search, stimulus, 60, subject=0, initial=meg)
    assert_allclose(predicted[:, :10], meg[:, :10], atol=1e-9)  # what was known
    assert np.corrcoef(predicted[:, 10:].ravel(), meg[:, 10:].ravel())[0, 1] > 0.95
    later = np.where(np.arange(N) % 25 < 10, meg, np.nan)  # step 25: nothing else is looked at
    starts = cut_windows(meg, 60, 25)[1]
    later[:, starts[-1] : starts[-1] + 10] = meg[:, starts[-1] : starts[-1] + 10]
    assert_array_equal(
        predict_continuous(search, stimulus, 60, 25, subject=0, initial=later), predicted
    )


@pytest.mark.parametrize("cls", [SubjectMean, RecurrentTRF, DeepRecurrentEncoder])
def test_every_encoder_from_the_stimulus_alone(recording, cls):
    stimulus, meg = recording
    sizes = {"max_epochs": 3, "hidden_size": 8, "random_state": 0}
    model = cls(**sizes if cls is DeepRecurrentEncoder else {})
    model = fit_on_windows(lambda rows: model.set_params(**rows), stimulus, meg)
    predicted = predict_continuous(model, stimulus, skip=20)
    assert predicted.shape == meg.shape
    assert np.isfinite(predicted).all()
    if cls is not SubjectMean:
        assert np.corrcoef(predicted.ravel(), meg.ravel())[0, 1] > 0.9


def test_flat_targets(recording):
    stimulus, meg = recording
    X, _ = cut_windows(stimulus, 60, 30)
    y, _ = cut_windows(meg, 60, 30)
    model = TemporalReceptiveField(tmax=5, alphas=1.0)
    expected = predict_continuous(model.fit(X, y), stimulus)
    flat = model.fit(X, y.reshape(len(y), -1))
    assert_array_equal(predict_continuous(flat, stimulus), expected)


def test_what_the_encoder_needs_must_be_there(recording):
    stimulus, meg = recording
    n = len(cut_windows(meg, 60, 30)[0])
    subjects = np.zeros(n, int)
    model = fit_on_windows(
        lambda rows: RecurrentTRF(n_past=2, **rows), stimulus, meg, subjects=subjects, n_initial=10
    )
    good = {"subject": 0, "initial": meg}
    for change, message in {
        "needs subject: it was fitted with subject_row": {"subject": None},
        "needs initial: it was fitted with initial_rows": {"initial": None},
        r"initial must have the shape \(3, 730\)": {"initial": meg[:2]},
        "integer from 0 on": {"subject": 0.5},
        "length must be 60": {"length": 61},
        "take a smaller step": {"step": 51},
        "must have the 2 stimulus rows": {"features": stimulus[:1]},
        "longer than the recording": {"features": stimulus[:, :50], "initial": meg[:, :50]},
    }.items():
        kwargs = {"features": stimulus, **good, **message}
        with pytest.raises(ValueError, match=change):
            predict_continuous(model, **kwargs)
    plain = fit_on_windows(lambda rows: TemporalReceptiveField(**rows), stimulus, meg)
    with pytest.raises(ValueError, match="does not take initial: it was fitted without"):
        predict_continuous(plain, stimulus, initial=meg)
