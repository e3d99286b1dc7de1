"""Averages, lead fields and source estimates as mne objects."""

import numpy as np

from ._problem import MneProblem

FIFFV_COORD_HEAD = 4
FIFFV_FREE_ORI = 2


def make_problem(means, nave, used, info, forward, noise_cov, trials_cov, tmin):
    """Keep the problem as mne objects, with the channels that are used.

    means (n_conditions, n_channels, n_times), nave (n_conditions,), used (n_channels,) bool,
        trials_cov (n_channels, n_channels) or None
    tmin: Time of the first sample in s.
    Returns problem (MneProblem)
    """
    import mne

    info = mne.pick_info(info, np.flatnonzero(used))
    names = info["ch_names"]
    if not used.all():
        forward = mne.pick_channels_forward(forward, names, ordered=True, verbose="error")
    if trials_cov is not None:
        part = trials_cov[np.ix_(used, used)]
        trials_cov = mne.Covariance(part, list(names), [], list(info["projs"]), nfree=1)
    evokeds = _evokeds(means[:, used], nave, info, tmin)
    return MneProblem(evokeds, forward, noise_cov, trials_cov)


def _evokeds(means, nave, info, tmin):
    import mne

    return [
        mne.EvokedArray(mean, info, tmin=tmin, nave=max(1, round(float(n))), verbose="error")
        for mean, n in zip(means, nave)
    ]


def as_mne(problem):
    """View any problem as mne objects.

    Arrays become whitened magnetometers with unit noise, so that mne's solvers work in any unit
    and rank; their depth weighting then sees the whitened lead field.

    Returns problem (MneProblem)
    """
    if problem.mne is not None:
        return problem.mne
    import mne

    names = [f"MEG{index:04d}" for index in range(len(problem.gain))]
    info = mne.create_info(names, 1.0, "mag")
    means = problem.data / np.sqrt(problem.nave)[:, np.newaxis, np.newaxis]
    trials = problem.trials_cov
    return MneProblem(
        _evokeds(means, problem.nave, info, 0.0),
        _array_forward(problem.gain, problem.n_orient, info),
        mne.Covariance(np.eye(len(names)), names, [], [], nfree=1),
        None if trials is None else mne.Covariance(trials, names, [], [], nfree=1),
    )


def _array_forward(gain, n_orient, info):
    """Make an mne.Forward of a lead field; a fixed orientation becomes the normal."""
    import mne

    n_positions = gain.shape[1] // n_orient
    if n_orient == 1:
        wide = np.zeros((len(gain), n_positions, 3))
        wide[:, :, 2] = gain
        gain = wide.reshape(len(gain), -1)
    positions = np.zeros((n_positions, 3))
    positions[:, 0] = np.arange(n_positions) * 1e-3  # any places that differ
    sol = {
        "data": gain.astype(np.float64),
        "row_names": list(info["ch_names"]),
        "col_names": [],
        "nrow": gain.shape[0],
        "ncol": gain.shape[1],
    }
    src = mne.SourceSpaces([_space(positions)])
    return mne.Forward(
        sol=sol,
        sol_grad=None,
        _orig_sol=sol["data"].copy(),
        _orig_sol_grad=None,
        _orig_source_ori=FIFFV_FREE_ORI,
        source_ori=FIFFV_FREE_ORI,
        surf_ori=False,
        coord_frame=FIFFV_COORD_HEAD,
        nsource=n_positions,
        nchan=len(gain),
        source_rr=positions,
        source_nn=np.tile(np.eye(3), (n_positions, 1)),
        src=src,
        info=info,
        mri_head_t=mne.transforms.Transform("mri", "head", np.eye(4)),
    )


def _space(positions):
    n_positions = len(positions)
    return {
        "type": "discrete",
        "id": 101,
        "coord_frame": FIFFV_COORD_HEAD,
        "rr": positions,
        "nn": np.tile([0.0, 0.0, 1.0], (n_positions, 1)),
        "np": n_positions,
        "nuse": n_positions,
        "vertno": np.arange(n_positions),
        "inuse": np.ones(n_positions, dtype=int),
        "patch_inds": None,
        "nearest": None,
        "pinfo": None,
        "use_tris": None,
        "nuse_tri": 0,
        "tris": np.zeros((0, 3), dtype=int),
        "ntri": 0,
        "subject_his_id": None,
        "dist": None,
        "dist_limit": None,
    }


def kernel_of(problem, apply):
    """Matrix of a linear method, (n_positions * n_orient, n_channels).

    apply (callable): From an mne.Evoked of one trial to sources (n_positions, n_orient, n_times).
    """
    import mne

    view = as_mne(problem)
    info = view.evokeds[0].info
    n_channels = len(info["ch_names"])
    each = mne.EvokedArray(np.eye(n_channels), info, nave=1, verbose="error")
    kernel = apply(each).reshape(-1, n_channels)
    if problem.mne is None:
        return kernel @ problem.whitener
    out = np.zeros((len(kernel), len(problem.used)))
    out[:, problem.used] = kernel
    return out


def solve_each(problem, evokeds, solve):
    """Sources of each average by ``solve(evoked)``; a field that is zero throughout has none.

    Returns sources (n_conditions, n_positions, n_orient, n_times)
    """
    n_times = problem.data.shape[2]
    out = np.zeros((len(evokeds), problem.n_positions, problem.n_orient, n_times))
    for row, evoked in enumerate(evokeds):
        if evoked.data.any():
            out[row] = solve(evoked)
    return out


def surface_forward(forward, fixed=True):
    """Forward in the axes of the surface, with the orientation of the normals if `fixed`."""
    import mne

    return mne.convert_forward_solution(forward, surf_ori=True, force_fixed=fixed, verbose="error")


def to_axes(vectors, axes):
    """Components along the axes of the lead field.

    vectors (n_positions, 3, n_times): Vectors in x, y, z.
    axes (n_positions, n_orient, 3)
    Returns sources (n_positions, n_orient, n_times)
    """
    return axes @ vectors


def axes_of(problem, estimator):
    """Axes of the columns of the lead field, those of x, y, z for arrays."""
    if problem.mne is not None:
        return estimator.axes_
    shape = (problem.n_positions, 1, 1)
    return np.tile(np.eye(3) if problem.n_orient == 3 else [[0.0, 0.0, 1.0]], shape)


def make_stcs(estimator, sources, pick_ori=None, tmin=None):
    """Make one mne source estimate for each row of sources.

    estimator (SourceEstimator): Fitted, with vertices.
    sources (n_rows, n_positions, n_orient, n_times), pick_ori ({None, "vector"})
    tmin (float or None): Time of the first sample in s; None: as fitted.
    Returns stcs (list of source estimates)
    """
    import mne

    if estimator.vertices_ is None:
        raise ValueError(
            "to_stc needs the vertices of an mne.Forward. Got forward of type "
            f"{type(estimator.forward).__name__}: use transform."
        )
    names = {"surface": "", "mixed": "Mixed"}
    prefix = names.get(estimator.source_kind_, "Vol")
    middle = "Vector" if pick_ori == "vector" else ""
    make = getattr(mne, f"{prefix}{middle}SourceEstimate")
    if pick_ori == "vector":
        sources = np.einsum("poi,npot->npit", estimator.axes_, sources)
    elif sources.shape[2] == 1:
        sources = sources[:, :, 0]
    else:
        sources = np.linalg.norm(sources, axis=2)
    return [
        make(
            row,
            [np.array(vertices) for vertices in estimator.vertices_],
            tmin=float(estimator.times_[0]) if tmin is None else tmin,
            tstep=estimator.tstep_,
            subject=estimator.subject_,
        )
        for row in sources
    ]


def make_dipoles(times, positions, moments, fit=None, volumes=None):
    """Make mne dipoles of moments that change over time.

    times (n_times,)
    positions (n_dipoles, 3): Coordinates in m, head coordinates.
    moments (n_dipoles, 3, n_times): Moments in A m, head coordinates.
    fit (tuple or None): Goodness of fit in percent and khi2, each (n_times,), and degrees of
        freedom, of all dipoles together; None: not known (NaN).
    volumes (n_dipoles,) or None: Volumes in m^3 that contain each dipole with 95 %.
    Returns dipoles (list of mne.Dipole)
    """
    import mne

    dipoles = []
    gof, khi2, n_free = fit or (np.full(len(times), np.nan), None, None)
    for index, (place, moment) in enumerate(zip(positions, moments)):
        amplitude = np.linalg.norm(moment, axis=0)
        main = np.linalg.svd(moment, full_matrices=False)[0][:, 0]
        safe = np.where(amplitude > 0, amplitude, 1.0)
        orientation = np.where(amplitude > 0, moment / safe, main[:, None])
        sign = np.sign(main @ orientation)  # one axis, and an amplitude that changes sign
        sign[sign == 0] = 1.0
        dipoles.append(
            mne.Dipole(
                times,
                np.tile(place, (len(times), 1)),
                amplitude * sign,
                (orientation * sign).T,
                gof,
                khi2=khi2,
                nfree=None if n_free is None else np.full(len(times), n_free),
                conf=None if volumes is None else {"vol": np.full(len(times), volumes[index])},
            )
        )
    return dipoles
