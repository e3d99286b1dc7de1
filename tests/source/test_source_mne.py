"""MNE objects in and out: the same numbers as calling mne itself."""

import mne
import numpy as np
import pytest
from _worlds import simulate_evoked, sphere_forward
from mne.beamformer import apply_lcmv, make_lcmv, rap_music
from mne.inverse_sparse import gamma_map, mixed_norm
from mne.minimum_norm import apply_inverse, make_inverse_operator
from sklearn.base import clone

from sklearn_meg.source import (
    LCMV,
    GammaMap,
    MinimumNorm,
    MixedNorm,
    RapMusic,
    cross_val_channels,
    fields_to_xy,
)

QUIET = {"verbose": "error"}


def same_stc(ours, theirs):
    assert type(ours) is type(theirs)
    for mine, yours in zip(ours.vertices, theirs.vertices):
        np.testing.assert_array_equal(mine, yours)
    scale = np.abs(theirs.data).max()
    np.testing.assert_allclose(ours.data / scale, theirs.data / scale, atol=1e-9)
    np.testing.assert_allclose(ours.times, theirs.times, atol=1e-9)
    assert ours.subject == theirs.subject


@pytest.mark.parametrize("method", ["MNE", "dSPM", "sLORETA", "eLORETA"])
@pytest.mark.parametrize("pick_ori", [None, "vector"])
def test_minimum_norm_of_a_volume_is_that_of_mne(method, pick_ori):
    evokeds, forward, cov = simulate_evoked()
    operator = make_inverse_operator(evokeds[0].info, forward, cov, loose=1.0, **QUIET)
    solver = MinimumNorm(forward=forward, noise_cov=cov, method=method, snr=2.0).fit(evokeds)
    for ours, evoked in zip(solver.to_stc(pick_ori=pick_ori), evokeds):
        same_stc(ours, apply_inverse(evoked, operator, 0.25, method, pick_ori, **QUIET))


@pytest.mark.parametrize("orientation, loose", [("free", 1.0), ("loose", 0.3), ("fixed", 0.0)])
@pytest.mark.parametrize("pick_ori", [None, "vector"])
def test_minimum_norm_of_a_surface_is_that_of_mne(orientation, loose, pick_ori):
    evokeds, forward, cov = simulate_evoked("surface")
    operator = make_inverse_operator(evokeds[0].info, forward, cov, loose=loose, **QUIET)
    solver = MinimumNorm(
        forward=forward, noise_cov=cov, orientation=orientation, loose=loose or 0.2
    ).fit(evokeds)
    assert solver.n_orient_ == (1 if orientation == "fixed" else 3)
    ours = solver.to_stc(pick_ori=pick_ori)[1]
    same_stc(ours, apply_inverse(evokeds[1], operator, 1 / 9, "MNE", pick_ori, **QUIET))


@pytest.mark.parametrize("method", ["MNE", "dSPM"])
def test_what_flows_along_the_normal_is_that_of_mne(method):
    evokeds, forward, cov = simulate_evoked("surface", 1)
    operator = make_inverse_operator(evokeds[0].info, forward, cov, loose=0.2, **QUIET)
    solver = MinimumNorm(forward=forward, noise_cov=cov, orientation="loose", method=method)
    (ours,) = solver.fit(evokeds).to_stc(pick_ori="normal")
    same_stc(ours, apply_inverse(evokeds[0], operator, 1 / 9, method, "normal", **QUIET))
    assert solver.transform(pick_ori="normal").min() < 0  # signed
    with pytest.raises(ValueError, match="orientation='loose'"):
        clone(solver).set_params(orientation="free").fit(evokeds).transform(pick_ori="normal")


@pytest.mark.parametrize(
    "kind, pick_ori", [("volume", "max-power"), ("surface", "normal"), ("volume", None)]
)
def test_orientations_of_beamformers_are_those_of_mne(kind, pick_ori):
    epochs, forward, cov = simulate_epochs(kind=kind)
    orientation = "loose" if kind == "surface" else "free"
    params = {"pick_ori": pick_ori, "reduce_rank": True}  # a sphere
    solver = LCMV(forward=forward, noise_cov=cov, orientation=orientation, **params).fit(epochs)
    data_cov = mne.compute_covariance(epochs.copy().crop(0.0, None), method="empirical", **QUIET)
    if kind == "surface":
        forward = mne.convert_forward_solution(forward, surf_ori=True, **QUIET)
    weight_norm = "unit-noise-gain-invariant"
    params |= {"reg": 0.05, "noise_cov": cov, "weight_norm": weight_norm}
    filters = make_lcmv(epochs.info, forward, data_cov, **params, **QUIET)
    theirs = apply_lcmv(epochs.average(), filters, **QUIET).data
    ours = solver.transform()[0]
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-3)  # n or n - 1 trials
    if pick_ori:
        assert solver.sources_.shape[2] == 1 and ours.min() < 0
        assert solver.to_stc(pick_ori="vector")[0].data.shape[1] == 3
    fields = solver.predict()[0]
    assert np.corrcoef(fields.ravel(), epochs.average().data.ravel())[0, 1] > 0.3


def test_beamformers_along_a_normal_need_one():
    epochs, forward, cov = simulate_epochs()
    with pytest.raises(ValueError, match="orientation='loose'"):
        LCMV(forward=forward, noise_cov=cov, pick_ori="normal").fit(epochs)


def test_predicted_fields_are_those_of_mne_currents():
    evokeds, forward, cov = simulate_evoked("surface")
    solver = MinimumNorm(forward=forward, noise_cov=cov, method="dSPM", orientation="loose").fit(
        evokeds
    )
    operator = make_inverse_operator(evokeds[0].info, forward, cov, loose=0.2, **QUIET)
    stc = apply_inverse(evokeds[0], operator, 1 / 9, "MNE", "vector", **QUIET)
    expected = forward["sol"]["data"] @ stc.data.reshape(-1, len(stc.times))
    np.testing.assert_allclose(
        solver.predict()[0] * 1e13, expected * 1e13, atol=1e-6 * np.abs(expected).max() * 1e13
    )


@pytest.mark.parametrize("kind, orientation", [("volume", "free"), ("surface", "fixed")])
def test_sparse_solvers_are_those_of_mne(kind, orientation):
    evokeds, forward, cov = simulate_evoked(kind, 1)
    loose = 1.0 if orientation == "free" else 0.0
    pairs = [
        (MixedNorm(alpha=50.0), mixed_norm(evokeds[0], forward, cov, 50.0, loose, **QUIET)),
        (
            MixedNorm(alpha=30.0, n_mxne_iter=3),
            mixed_norm(evokeds[0], forward, cov, 30.0, loose, n_mxne_iter=3, **QUIET),
        ),
        (GammaMap(alpha=0.1), gamma_map(evokeds[0], forward, cov, 0.1, loose, **QUIET)),
    ]
    for solver, theirs in pairs:
        solver.set_params(forward=forward, noise_cov=cov, orientation=orientation).fit(evokeds)
        (ours,) = solver.to_stc()
        rows = np.concatenate([np.isin(v, w) for v, w in zip(ours.vertices, theirs.vertices)])
        np.testing.assert_allclose(ours.data[rows] * 1e9, theirs.data * 1e9, atol=1e-6)
        assert not ours.data[~rows].any()
        np.testing.assert_array_equal(solver.support_[0], ours.data.any(axis=1))


@pytest.mark.parametrize("weight_norm", [None, "unit-noise-gain-invariant", "nai"])
def test_lcmv_from_trials_is_that_of_mne(weight_norm):
    epochs, forward, cov = simulate_epochs()
    active = epochs.copy().crop(0.0, None)
    data_cov = mne.compute_covariance(active, method="empirical", **QUIET)
    params = {"reg": 0.05, "noise_cov": cov, "weight_norm": weight_norm, "pick_ori": "vector"}
    filters = make_lcmv(epochs.info, forward, data_cov, reduce_rank=True, **params, **QUIET)
    solver = LCMV(forward=forward, noise_cov=cov, weight_norm=weight_norm, reduce_rank=True).fit(
        epochs
    )
    (ours,) = solver.to_stc(pick_ori="vector")
    theirs = apply_lcmv(epochs.average(), filters, **QUIET)
    scale = np.abs(theirs.data).max()
    np.testing.assert_allclose(ours.data / scale, theirs.data / scale, atol=1e-3)  # n or n - 1


def simulate_epochs(n_trials=30, noise=2e-13, kind="volume"):
    (evoked,), forward, _ = simulate_evoked(kind, n_conditions=1, noise=1e-18)
    rng = np.random.default_rng(1)
    data = evoked.data + noise * rng.standard_normal((n_trials, *evoked.data.shape))
    events = np.column_stack([np.arange(n_trials), np.zeros(n_trials), np.ones(n_trials)])
    epochs = mne.EpochsArray(
        data, evoked.info, events.astype(int), -0.1, {"tone": 1}, baseline=None, **QUIET
    )
    names = evoked.ch_names
    return epochs, forward, mne.Covariance(noise**2 * np.eye(40), names, [], [], nfree=1000)


def test_rap_music_is_that_of_mne():
    evokeds, forward, cov = simulate_evoked(n_conditions=1)
    (dipole,) = rap_music(evokeds[0], forward, cov, 1, **QUIET)
    solver = RapMusic(forward=forward, noise_cov=cov, n_dipoles=1).fit(evokeds)
    (at,) = np.flatnonzero(solver.support_[0])
    np.testing.assert_allclose(solver.positions_[at], dipole.pos[0])
    np.testing.assert_allclose(
        solver.transform()[0, at] * 1e9, np.abs(dipole.amplitude) * 1e9, rtol=1e-6, atol=1e-6
    )


def test_epochs_their_average_and_arrays_with_info_agree():
    epochs, forward, cov = simulate_epochs()
    solver = MinimumNorm(forward=forward, noise_cov=cov).fit(epochs)
    averaged = MinimumNorm(forward=forward, noise_cov=cov).fit(epochs.average())
    np.testing.assert_allclose(solver.sources_ * 1e9, averaged.sources_ * 1e9, atol=1e-9)
    X, y = fields_to_xy(epochs)
    arrays = MinimumNorm(forward=forward, noise_cov=cov, info=epochs.info).fit(X, y)
    np.testing.assert_allclose(arrays.sources_ * 1e9, solver.sources_ * 1e9, atol=1e-9)
    np.testing.assert_allclose(arrays.score(X, y), solver.score(epochs))
    assert solver.condition_names_ == ["tone"]
    np.testing.assert_array_equal(solver.predict(epochs[:3])[0], solver.predict()[0])


def test_conditions_of_epochs_by_name():
    epochs, forward, cov = simulate_epochs()
    epochs.events[::2, 2] = 2
    epochs.event_id = {"left": 1, "right": 2}
    solver = MinimumNorm(forward=forward, noise_cov=cov).fit(epochs)
    right = epochs["right"]
    (expected,) = MinimumNorm(forward=forward, noise_cov=cov).fit(right).predict()
    np.testing.assert_allclose(solver.predict(right)[0] * 1e13, expected * 1e13, atol=1e-8)
    np.testing.assert_array_equal(solver.nave_, [15, 15])
    epochs.event_id = {"left": 1, "deviant": 2}
    with pytest.raises(ValueError, match="deviant"):
        solver.predict(epochs)


def test_projections_and_bad_channels():
    evokeds, forward, cov = simulate_evoked(n_conditions=1)
    evoked = evokeds[0]
    vector = np.random.default_rng(3).standard_normal((1, 40))
    data = {
        "data": vector / np.linalg.norm(vector),
        "nrow": 1,
        "ncol": 40,
        "row_names": None,
        "col_names": evoked.ch_names,
    }
    evoked.add_proj(mne.Projection(active=False, data=data, kind=1, desc="heart"), **QUIET)
    evoked.info["bads"] = [evoked.ch_names[5]]
    solver = MinimumNorm(forward=forward, noise_cov=cov).fit(evoked)
    assert solver.predict().shape[1] == 39
    assert evoked.ch_names[5] not in solver.ch_names_
    operator = make_inverse_operator(evoked.info, forward, cov, loose=1.0, **QUIET)
    same_stc(solver.to_stc()[0], apply_inverse(evoked, operator, 1 / 9, "MNE", None, **QUIET))
    applied = evoked.copy().apply_proj(**QUIET)
    again = MinimumNorm(forward=forward, noise_cov=cov).fit(applied)
    np.testing.assert_allclose(again.sources_ * 1e9, solver.sources_ * 1e9, atol=1e-6)
    good = mne.pick_types(applied.info, meg=True, exclude="bads")
    direction = data["data"][0, good]
    assert abs(direction @ again.predict()[0]).max() < 1e-6 * np.abs(applied.data).max()


def test_channels_are_matched_by_name():
    evokeds, forward, cov = simulate_evoked()
    expected = MinimumNorm(forward=forward, noise_cov=cov).fit(evokeds).transform()
    names = evokeds[0].ch_names
    shuffled = [e.copy().reorder_channels(names[::-1]) for e in evokeds]
    got = MinimumNorm(forward=forward, noise_cov=cov).fit(shuffled).transform()
    np.testing.assert_allclose(got * 1e9, expected * 1e9, atol=1e-6)

    some = mne.pick_channels_forward(forward, names[3:], **QUIET)
    with pytest.raises(ValueError, match=f"missing in forward: {', '.join(names[:3])}"):
        MinimumNorm(forward=some, noise_cov=cov).fit(evokeds)
    few = [e.copy().pick(names[10:]) for e in evokeds]
    assert MinimumNorm(forward=forward, noise_cov=cov).fit(few).predict().shape[1] == 30
    other = [e.copy().rename_channels({n: f"X{n}" for n in names}) for e in evokeds]
    with pytest.raises(ValueError, match="share no channel name"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(other)
    part = mne.pick_channels_cov(cov, names[2:], **QUIET)
    with pytest.raises(ValueError, match="missing in noise_cov"):
        MinimumNorm(forward=forward, noise_cov=part).fit(evokeds)


def test_orientations_that_need_a_surface():
    evokeds, forward, cov = simulate_evoked()
    for orientation in ("loose", "fixed"):
        with pytest.raises(ValueError, match="surface normals"):
            MinimumNorm(forward=forward, noise_cov=cov, orientation=orientation).fit(evokeds)


def test_evokeds_must_be_averages_at_the_same_times():
    evokeds, forward, cov = simulate_evoked()
    solver = MinimumNorm(forward=forward, noise_cov=cov)
    later = evokeds[1].copy().shift_time(0.1)
    with pytest.raises(ValueError, match=r"same times.*-0.1 to 0.29 s and 0 to 0.39 s"):
        solver.fit([evokeds[0], later])
    info = mne.create_info(evokeds[0].ch_names, 200.0, "mag")
    faster = mne.EvokedArray(evokeds[1].data, info, tmin=-0.1, **QUIET)
    with pytest.raises(ValueError, match="same times"):
        solver.fit([evokeds[0], faster])
    evokeds[1].kind = "standard_error"
    with pytest.raises(ValueError, match="standard error"):
        solver.fit(evokeds)


def test_forward_in_other_coordinates():
    evokeds, forward, cov = simulate_evoked()
    forward = forward.copy()
    forward["coord_frame"] = 5  # MRI
    with pytest.raises(ValueError, match="head coordinates"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(evokeds)


def test_channels_that_are_bad_in_the_covariance():
    evokeds, forward, cov = simulate_evoked()
    cov = cov.copy()
    cov["bads"] = [cov.ch_names[2]]
    with pytest.raises(ValueError, match=f"bad in noise_cov: {cov.ch_names[2]}"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(evokeds)


def test_epochs_are_no_events():
    evokeds, forward, cov = simulate_evoked(n_conditions=1)
    data = np.stack([evokeds[0].data] * 3)
    epochs = mne.EpochsArray(data, evokeds[0].info, tmin=-0.1, **QUIET)
    with pytest.raises(ValueError, match="X must be event time courses.*EpochsArray"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(epochs, epochs)
    with pytest.raises(ValueError, match="hold no trial"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(epochs[[]])


@pytest.mark.parametrize("fixed", [False, True])
def test_eeg_arrays_need_an_average_reference(fixed):
    montage = mne.channels.make_standard_montage("biosemi16")
    info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    sphere = mne.make_sphere_model((0, 0, 0.04), 0.09, **QUIET)
    src = sphere_forward()[1]["src"]
    forward = mne.make_forward_solution(info, None, src, sphere, meg=False, eeg=True, **QUIET)
    if fixed:
        forward = mne.convert_forward_solution(forward, force_fixed=True, surf_ori=True, **QUIET)
    y = 1e-6 * np.random.default_rng(0).standard_normal((6, 16, 30))
    with pytest.raises(ValueError, match="average reference.*info="):
        MinimumNorm(forward=forward, onset=10).fit(None, y)


def test_eeg_needs_an_average_reference():
    rng = np.random.default_rng(0)
    info = mne.create_info(8, 100.0, "eeg")
    evoked = mne.EvokedArray(rng.standard_normal((8, 30)), info, tmin=-0.1, **QUIET)
    with pytest.raises(ValueError, match="average reference"):
        MinimumNorm().fit(evoked)
    evoked.set_eeg_reference(projection=True, **QUIET)
    assert MinimumNorm().fit(evoked).predict().shape == (1, 8, 30)


def test_onset_is_time_zero():
    evokeds, forward, cov = simulate_evoked()
    solver = MinimumNorm(forward=forward, noise_cov=cov).fit(evokeds)
    assert solver.events_[0, 0].argmax() == evokeds[0].time_as_index(0)[0]
    late = [e.copy().crop(0.05, None) for e in evokeds]
    with pytest.raises(ValueError, match="outside the window"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(late)
    solver = MinimumNorm(forward=forward, noise_cov=cov, onset=3).fit(late)
    assert solver.to_stc()[0].tmin == pytest.approx(0.05)


def test_forward_that_is_not_finite():
    evokeds, forward, cov = simulate_evoked()
    broken = forward.copy()
    broken["sol"]["data"][2, 5] = np.nan
    with pytest.raises(ValueError, match="forward must be finite"):
        MinimumNorm(forward=broken, noise_cov=cov).fit(evokeds)


def test_held_out_channels_of_mne_objects():
    evokeds, forward, cov = simulate_evoked()
    strong = cross_val_channels(
        MinimumNorm(forward=forward, noise_cov=cov, snr=10), evokeds, random_state=0
    )
    weak = cross_val_channels(
        MinimumNorm(forward=forward, noise_cov=cov, snr=0.01), evokeds, random_state=0
    )
    assert strong.mean() > 0.2 > weak.mean()


def test_no_stc_without_vertices():
    info, forward = sphere_forward()
    y = np.random.default_rng(0).standard_normal((1, 40, 20))
    solver = MinimumNorm(forward=forward["sol"]["data"].reshape(40, -1, 3), onset=5).fit(None, y)
    with pytest.raises(ValueError, match="vertices"):
        solver.to_stc()


def test_real_auditory_response(real_data):
    folder = real_data / "meg_auditory"
    evokeds = mne.read_evokeds(folder / "test-ave.fif.gz", condition=[0, 1], **QUIET)
    evokeds = [
        e.apply_baseline((None, 0), **QUIET).crop(-0.1, 0.2).decimate(6, **QUIET) for e in evokeds
    ]
    forward = mne.read_forward_solution(folder / "sample-vol10-meg-fwd.fif", **QUIET)
    cov = mne.read_cov(folder / "test-cov.fif", **QUIET)
    solver = MinimumNorm(forward=forward, noise_cov=cov, method="dSPM").fit(evokeds)
    assert len(solver.ch_names_) == 306  # EEG, which the forward lacks, is left out
    amplitude = solver.transform()
    x = solver.positions_[:, 0]
    for condition, contralateral in enumerate((x > 0.02, x < -0.02)):
        peak = amplitude[condition, contralateral].max(axis=0)
        assert 0.06 < solver.times_[peak.argmax()] < 0.13  # the N100m
