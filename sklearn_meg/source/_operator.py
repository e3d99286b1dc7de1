"""The linear operator that a fitted estimator applies to new data.

Two kinds, each a dictionary of arrays so that it travels in a model file. A *kernel* is the matrix
of a linear method. A *Wiener* operator has sources of known power p in white noise: for an average
of n trials, the courses of fields y are ``(L'L + diag(1 / (n p)))^-1 L' W y``, with L the whitened
fields of the sources and W the whitener of a single trial (Wiener, 1949).
"""

import numpy as np

from ._settings import SETTINGS


def kernel_operator(kernel, per_root_trial=False):
    """Operator of a linear method.

    kernel (n_positions * n_orient, n_channels): From the fields of one trial to sources.
    per_root_trial: Whether values grow with the root of the number of trials, as those of dSPM do.
    """
    return {"kernel": kernel, "per_root_trial": per_root_trial}


def wiener_operator(lead, power, whitener, positions, axes):
    """Operator of a few sources.

    lead (n_whitened, n_courses): Whitened fields of each course.
    power (n_courses,): Mean square of each course.
    whitener (n_whitened, n_channels), positions (n_courses,) int
    axes (n_courses, n_orient): Position and orientation of each course.
    """
    power = np.asarray(power, dtype=float)
    kept = power > SETTINGS.least_power * power.max(initial=0.0)
    return {
        "lead": lead[:, kept],
        "power": power[kept],
        "whitener": whitener,
        "positions": np.asarray(positions, dtype=int)[kept],
        "axes": np.asarray(axes, dtype=float)[kept],
        "kept": np.flatnonzero(kept),
    }


def support_operator(problem, sources):
    """Wiener operator of the positions that have currents.

    Each gets the covariance over its orientations that its estimated currents have.

    sources (n_conditions, n_positions, n_orient, n_times)
    """
    n_orient = problem.n_orient
    active = np.flatnonzero(sources.any(axis=(0, 2, 3)))
    part = sources[:, active]
    covariance = np.einsum("cpot,cpqt->poq", part, part, optimize=True)
    covariance /= max(sources.shape[0] * sources.shape[3], 1)
    power, vectors = np.linalg.eigh(covariance)
    gain = problem.gain.reshape(len(problem.gain), -1, n_orient)[:, active]
    lead = np.einsum("mpo,pok->mpk", gain, vectors, optimize=True)
    return wiener_operator(
        lead.reshape(len(lead), -1),
        power.ravel(),
        problem.whitener,
        np.repeat(active, n_orient),
        vectors.transpose(0, 2, 1).reshape(-1, n_orient),
    )


def sources_of_fields(operator, fields, nave, shape):
    """Sources of new fields.

    fields (n_rows, n_channels, n_times)
    nave (n_rows,): Trials that each row is the average of.
    shape (tuple of int): Positions and orientations.
    Returns sources (n_rows, n_positions, n_orient, n_times)
    """
    out = np.zeros((len(fields), *shape, fields.shape[2]))
    if "kernel" in operator:
        for row, (field, n) in enumerate(zip(fields, nave)):
            gain = np.sqrt(n) if operator["per_root_trial"] else 1.0
            out[row] = (gain * operator["kernel"] @ field).reshape(out.shape[1:])
        return out
    return scattered(
        courses_of_fields(operator, fields, nave), operator["positions"], operator["axes"], out
    )


def courses_of_fields(operator, fields, nave):
    """Courses (n_rows, n_courses, n_times) of new fields, by a Wiener operator."""
    kernels = {n: _wiener_kernel(operator, n) for n in np.unique(nave)}
    courses = [kernels[n] @ field for field, n in zip(fields, nave)]
    return np.array(courses).reshape(len(fields), len(operator["power"]), fields.shape[2])


def scattered(courses, positions, axes, out):
    """Add courses (n_rows, n_courses, n_times) to sources, at their positions along their axes."""
    for axis in range(axes.shape[1]):
        used = axes[:, axis] != 0
        part = axes[used, axis, None] * courses[:, used]
        np.add.at(out, (slice(None), positions[used], axis), part)
    return out


def _wiener_kernel(operator, nave):
    lead, power = operator["lead"], operator["power"]
    if lead.shape[1] <= len(lead):
        normal = lead.T @ lead + np.diag(1 / (nave * power))
        return np.linalg.solve(normal, lead.T @ operator["whitener"])
    spread = (lead * power) @ lead.T + np.eye(len(lead)) / nave
    return (lead * power).T @ np.linalg.solve(spread, operator["whitener"])
