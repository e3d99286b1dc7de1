"""Parameters that a fit begins with, and those of them that stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._em import plug_in_density

PARTS = ("startprob", "transmat", "means", "covariances")
STAY = 0.9  # of states whose transitions are not given
TINY = 1e-300


@dataclass(frozen=True)
class Known:
    """Parameters of the states, in the units of the iterations; None where they are learned.

    means (n_states, n_regions) or None
    density (factor, constant) or None: Of the covariances.
    """

    means: np.ndarray | None = None
    density: tuple | None = None
    log_start: np.ndarray | None = None
    log_trans: np.ndarray | None = None

    def into(self, parameters):
        """Parameters as an E-step takes them, with what is known in its place."""
        mean, factor, constant, tails, log_start, log_trans = parameters
        own = (self.means, *(self.density or (None, None)), None, self.log_start, self.log_trans)
        return tuple(
            learned if one is None else np.broadcast_to(one, learned.shape)
            for one, learned in zip(own, (mean, factor, constant, tails, log_start, log_trans))
        )

    def about(self, counts, sums, products):
        """Moments whose scatter is about the known means: linear in the moments as they come."""
        if self.means is None:
            return counts, sums, products
        m, n = self.means, counts[..., None]
        cross = m[..., :, None] * sums[..., None, :]
        outer = m[..., :, None] * m[..., None, :]
        products = products - cross - cross.swapaxes(-1, -2) + 2 * n[..., None] * outer
        return counts, n * m, products


def check_fixed(model):
    """Raise where the parameter `fixed` does not go with the others.

    Raises ValueError for names that are none, without a dict `init`, and with other emissions or
        alignments than such parts can have.
    """
    fixed = model.fixed
    if isinstance(fixed, str) or not np.iterable(fixed) or not set(fixed) <= set(PARTS):
        raise ValueError(f"The 'fixed' parameter must be some of {PARTS}. Got {fixed!r}.")
    if not len(fixed):
        return
    if not isinstance(model.init, dict) or model.emission == "mar":
        raise ValueError(
            f"fixed={tuple(fixed)!r} needs a dict of parameters as 'init', and no autoregressive "
            "states."
        )
    of_samples = {"means", "covariances"} & set(fixed)
    if of_samples and (model.align not in ("auto", "none") or model.emission == "t"):
        raise ValueError(
            "The 'fixed' means or covariances are of recordings as they are: align='none' and "
            f"emission='gaussian'. Got align={model.align!r}, emission={model.emission!r}."
        )


def check_known(init, fixed, n_states, n_regions):
    """Parameters of the dict `init`, as arrays.

    Raises ValueError for names that are none, other shapes, probabilities that do not sum to one,
        covariances that are none, and `fixed` parts that are not given.
    """
    shapes = dict(zip(PARTS, ((n_states,), (n_states,) * 2, (n_states, n_regions))))
    shapes["covariances"] = n_states, n_regions, n_regions
    wrong = [name for name in init if name not in shapes]
    missing = [name for name in {"means", "covariances", *fixed} if name not in init]
    if wrong or missing:
        raise ValueError(
            "The 'init' parameters are a dict with 'means' and 'covariances', may have 'startprob' "
            f"and 'transmat', and have those of fixed={tuple(fixed)!r}. Got {sorted(init)}."
        )
    given = {name: np.asarray(value, dtype=float) for name, value in init.items()}
    for name, value in given.items():
        if value.shape != shapes[name] or not np.isfinite(value).all():
            raise ValueError(
                f"init[{name!r}] must be finite, of shape {shapes[name]}. Got the shape "
                f"{value.shape}."
            )
    _check_values(given)
    return given


def _check_values(given):
    for name in ("startprob", "transmat"):
        if name in given and (
            given[name].min() < 0 or not np.allclose(given[name].sum(-1), 1, atol=1e-6)
        ):
            raise ValueError(f"init[{name!r}] must be probabilities that sum to one.")
    if np.linalg.eigvalsh(given["covariances"]).min() <= 0:
        raise ValueError("init['covariances'] must be symmetric and positive definite.")


def known_parts(given, fixed, center, spread):
    """Parameters that stay, in the units of the iterations."""
    known = _standardized(given, center, spread)
    names = dict(zip(PARTS, ("log_start", "log_trans", "means", "density")))
    learned = {field: None for part, field in names.items() if part not in fixed}
    return replace(known, **learned)


def _standardized(given, center, spread):
    n_states = len(given["means"])
    start = given.get("startprob", np.full(n_states, 1 / n_states))
    moves = np.full((n_states, n_states), (1 - STAY) / n_states) + STAY * np.eye(n_states)
    covariances = given["covariances"] / (spread[:, None] * spread)
    return Known(
        (given["means"] - center) / spread,
        plug_in_density(covariances),
        np.log(np.maximum(start, TINY)),
        np.log(np.maximum(given.get("transmat", moves), TINY)),
    )


def states_of(prepared, given):
    """States of all samples by given parameters, one array a recording."""
    known = _standardized(given, prepared.center, prepared.spread)
    found = []
    for r in range(len(prepared.recordings.parts)):
        batch = prepared.batch(prepared.recordings.pick([r]))
        parts = known.means, *known.density, np.array(np.inf), known.log_start, known.log_trans
        found.append(batch.decode(*(p[None] for p in parts))[0][:, 0].argmax(1))
    return found
