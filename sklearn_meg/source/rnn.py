"""Sources of event-related fields by a recurrent network with a frozen lead field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import gen_batches

from .._checks.params import check_option_param, check_random_state, check_scalar_param
from .._params import ComputeParams, OptimizerParams, documented
from .._training.device import limited_threads
from .._training.threads import LOCK
from ..base import TorchEstimator
from ._conditions import first_change
from ._network import CELLS, PenalizedLoss, SourceNet
from ._operator import scattered, support_operator
from ._overlap import single_events, sums_of
from ._settle import Settle
from ._training import Phases, layer_scale, lead_modes, penalty_strength
from .dipoles import DipoleEstimator, DipoleParams

if TYPE_CHECKING:
    from typing import Literal


UNITS = (16, 512)  # recurrent units of an event, least and most, and where that is not known: 32
FORGOTTEN = (
    "net_", "history_", "n_iter_", "device_", "sources_", "evidence_", "stability_",
    "dipole_positions_", "dipole_orientations_", "dipole_covariances_", "dipole_volumes_",
    "lead_field_error_", "least_moments_", "sensors_moved_",
)  # fmt: skip

#: Parameters that make :class:`RNNSourceSolver` the network of the paper, trained as there: all
#: positions, first the fields alone, then with an L1 penalty. Sizes and rates are rebuilt.
PAPER_PARAMS: dict[str, Any] = {
    "localizer": "penalty",
    "penalty": "l1",
    "alpha": 1.0,
    "init": "random",
    "recurrent_init": "random",
    "n_reweight": 0,
    "depth": None,
    "schedule": None,
    "max_epochs": 300,
}
#: The same network with a source layer that starts at zero, a penalty on the orientations of a
#: position together, depth weights and reweighting.
GROUP_PARAMS = {
    "localizer": "penalty",
    "penalty": "l21",
    "recurrent_init": "random",
    "schedule": None,
    "max_epochs": 300,
}


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RNNSourceSolver(
    DipoleParams, OptimizerParams, ComputeParams, DipoleEstimator, TorchEstimator
):
    """Recurrent network from events to fields whose output weights are the lead field.

    The last hidden layer is the source estimate (O'Reilly et al. 2023). By default dipoles are
    found by maximum likelihood against the noise that single trials differ by, in volume grids
    between the points, too, and the network learns their time courses (``localizer="dipoles"``).
    The paper's way, all positions under a penalty, is ``localizer="penalty"``;
    ``RNNSourceSolver(**PAPER_PARAMS)`` has all of its recipe.

    Parameters
    ----------
    localizer : {"dipoles", "penalty"}, default="dipoles"
        Choice of positions: as :class:`DipoleSearch` does, or as in the paper, all positions
        under a penalty.
    penalty : {"l21", "l1"}, default="l21"
        With ``localizer="penalty"``: penalty on positions (the norm over orientations at each
        sample), or on each component. Its strength is `alpha`, in percent of what leaves no
        source.
    n_reweight : int, default=3
        With ``localizer="penalty"``: number of rounds in which the penalty is reweighted.
    n_modes : int, default=60
        With ``localizer="penalty"``: number of directions of the lead field that are fitted.
    cell : {"gru", "lstm", "rnn"}, default="gru"
        Recurrent cell.
    hidden_size : int or "auto", default="auto"
        Number of recurrent units. "auto": two for each component of time that the courses of the
        sources need, for each event; 32 an event where that is not known.
    n_layers : int, default=1
        Number of recurrent layers.
    init : {"zeros", "random"}, default="zeros"
        Initial weights of the source layer.
    recurrent_init : {"oscillators", "random"}, default="oscillators"
        Initial weights of the recurrent units. Oscillators are damped and small, so that the cells
        are linear where they start: an event that comes later moves the response. "random" is
        torch's.
    %(DipoleParams)s
    %(SourceParams)s
    max_epochs : int, default=200
        Largest number of training steps: all conditions are one batch. Where dipoles are searched,
        training ends as soon as less than 0.1 % of the power of the time courses is missed, which
        oscillators often reach before it begins.
    %(OptimizerParams)s
    %(ComputeParams)s

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Sources of the fitted conditions, in A m.
    fields_ : ndarray of shape (n_conditions, n_channels, n_times)
        Fields of the sources at the sensors, in the units of y. Those of a dipole between grid
        points are interpolated from the points around it, while ``sources_`` puts its whole
        moment at the nearest.
    support_ : ndarray of int of shape (n_sources,)
        Positions there is evidence for, the nearest of the grid; all with ``localizer="penalty"``
        or ``forward=None``.
    evidence_, lead_field_error_, dipole_covariances_, dipole_volumes_ : ndarray or float
        As in :class:`DipoleSearch`. Only where positions are chosen: with
        ``localizer="dipoles"`` and a `forward`.
    least_moments_ : ndarray of shape (n_positions,)
        As in :class:`DipoleSearch`: moments below which one more source is not seen.
    sensors_moved_ : ndarray of shape (6,)
        As in :class:`DipoleSearch`.
    dipole_positions_ : ndarray of shape (n_sources, 3)
        Positions of the dipoles in m and head coordinates: in volume grids also between the points.
        Only with an mne.Forward whose positions are chosen.
    dipole_orientations_ : ndarray of shape (n_sources, 3) or (n_sources, n_orient)
        The way that each points, or the one it points most; in the axes of an array `forward`.
        Only where positions are chosen.
    hidden_size_ : int
        Recurrent units.
    stability_ : ndarray of shape (n_positions,)
        Share of noise realizations in which there was a source at, or next to, a position. Only
        where positions are chosen, and ``n_estimators`` is more than 1.
    net_ : skorch.NeuralNet
        Only if there is anything to train: not if there is evidence for no source.
    events_, nave_, ch_names_, n_features_in_, n_times_in_, n_outputs_, n_positions_, n_orient_
        As in :class:`MinimumNorm`.

    Raises
    ------
    ValueError, TypeError
        By ``fit``: as :class:`MinimumNorm`; for events that never change (with more than one
        sample), as with an onset at the first sample; and for fields of 0 from the first change on.

    Notes
    -----
    Give single trials where you have them, ``fit(X, epochs)`` with equal rows of X: from what they
    differ by the solver learns the noise in the components of time that hold the response, and
    what noise alone explains. That takes four rows of every condition: with fewer of one, all are
    taken as averages. Those do not show how much slow noise of the brain is left in them: it is
    taken from the samples before the onset and 1/f below, and a source must then explain 2.4 times
    what such noise does.

    Nothing happens before an event does: a condition whose events are 0 throughout takes part in
    the choice of positions, but is given no currents.

    What differs from the paper: O'Reilly et al. train on all positions, then with an L1 penalty.
    There, noise and the grid decide between neighboring positions, and a weight of the penalty
    must be chosen. See the user guide for what was measured.

    References
    ----------
    O'Reilly, Zhu and Sowman (2023), Localized estimation of electromagnetic sources underlying
    event-related fields using recurrent neural networks, J Neural Eng 20.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import RNNSourceSolver
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))  # 20 channels, 30 sources
    >>> currents = np.zeros((30, 50))
    >>> currents[7, 20:40] = np.hanning(20)
    >>> y = gain @ currents + 0.3 * rng.normal(size=(60, 20, 50))  # 60 trials
    >>> X = np.zeros((60, 1, 50))
    >>> X[:, :, 20:] = 1.0  # all of one condition, from sample 20 on
    >>> solver = RNNSourceSolver(forward=gain, random_state=0).fit(X, y)
    >>> solver.support_
    array([7])
    >>> later = np.zeros((1, 1, 50))
    >>> later[:, :, 25:] = 1.0  # what if the event came later?
    >>> solver.predict(later).shape
    (1, 20, 50)
    """

    localizer: Literal["dipoles", "penalty"] = "dipoles"
    penalty: Literal["l21", "l1"] = "l21"
    n_reweight: int = 3
    n_modes: int = 60
    cell: Literal["gru", "lstm", "rnn"] = "gru"
    hidden_size: int | Literal["auto"] = "auto"
    n_layers: int = 1
    init: Literal["zeros", "random"] = "zeros"
    recurrent_init: Literal["oscillators", "random"] = "oscillators"
    max_epochs: int = 200
    lr: float = 1e-2

    _module_class = SourceNet
    # All conditions are one batch and none is held out: there is one recording, no corpus.
    batch_size, patience, validation_fraction, validation_split = 1_000_000, None, 0, "random"

    # ------------------------------------------------------------------ checks

    def _check_params(self):
        check_option_param(self, "localizer", ("dipoles", "penalty"))
        check_option_param(self, "penalty", ("l21", "l1"))
        check_option_param(self, "cell", tuple(CELLS))
        check_option_param(self, "init", ("zeros", "random"))
        check_option_param(self, "recurrent_init", ("oscillators", "random"))
        self._check_dipole_params()
        check_scalar_param(self, "n_reweight", "int", 0)
        for name in ("n_modes", "n_layers"):
            check_scalar_param(self, name, "int", 1)
        if not (isinstance(self.hidden_size, str) and self.hidden_size == "auto"):
            check_scalar_param(self, "hidden_size", "int", 1)
        self._check_training_params()

    def _check_events(self, X):
        if X.shape[2] > 1 and first_change(X) is None:
            raise ValueError(
                "X must change at some sample: events that are constant (0 throughout, or up from "
                "the first sample on, as with onset=0) leave the recurrent network nothing to "
                f"follow. Got {len(X)} constant row(s) of {X.shape[2]} samples. Begin the window "
                "before the event."
            )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "sources_")

    # ------------------------------------------------------------------ fit

    def _solve(self, problem):
        for name in FORGOTTEN:
            self.__dict__.pop(name, None)
        self._size_network(problem)
        with limited_threads(self.n_threads):
            if self.localizer == "penalty":
                targets, strength = self._all_positions(problem)
            else:
                events, targets = self._chosen_positions(problem)
        if self.localizer == "penalty":
            phases = Phases(strength, self.n_reweight)
            self._train(problem.events, targets, callbacks=[("phases", phases)])
        elif len(self._scale):
            self._train(events, targets, callbacks=[("settle", Settle())])
        return self._currents(problem.events)

    def _size_network(self, problem, n_components=None):
        """Recurrent units, and the samples that the oscillators they start as must fill.

        Two units for each component of time that the courses need, and a bank an event.
        """
        onset = first_change(problem.events) or 0
        self._span = None
        if self.recurrent_init == "oscillators":
            self._span = problem.events.shape[2] - onset
        self.hidden_size_ = self.hidden_size
        if self.hidden_size == "auto":
            units = 32 if n_components is None else max(UNITS[0], 2 * n_components)
            self.hidden_size_ = min(UNITS[1], units * problem.events.shape[1])

    def _all_positions(self, problem):
        """Fields in the modes of the lead field, to be trained on all, and the penalty."""
        modes = lead_modes(problem.gain, self.n_modes)
        # Of one trial: what a source in A m makes, whatever the number of trials.
        each = 1 / np.sqrt(problem.nave)[:, None, None]
        targets = each * np.einsum("wm,cwt->cmt", modes, problem.data, optimize=True)
        scale = layer_scale(problem.gain, problem.weights, targets)
        size = np.sqrt(np.square(targets).mean())
        gain, targets = modes.T @ problem.gain / size, targets / size
        noise = problem.half_difference
        if noise is None:
            noise = check_random_state(self.random_state).standard_normal(problem.data.shape)
        noise = each * np.einsum("wm,cwt->cmt", modes, noise, optimize=True) / size
        strength = penalty_strength(self.alpha, gain * scale, targets, noise, problem.n_orient)
        self.support_ = np.arange(problem.n_positions)
        self._keep_all(problem, gain, scale)
        return targets, strength

    def _chosen_positions(self, problem):
        """Events, and courses of the dipoles there is evidence for: the default training data."""
        if self.forward is None:  # no inverse problem
            targets = problem.data / np.sqrt(problem.nave)[:, None, None]
            self.support_ = np.arange(problem.n_positions)
            scale = np.full(problem.n_positions, np.sqrt(np.square(targets).mean()))
            scale /= np.linalg.norm(problem.gain, axis=0).max()
            self._keep_all(problem, problem.gain, scale)
            return problem.events, targets
        return self._courses_of(self._find(problem), problem)

    def _courses_of(self, found, problem):
        """Events, and time courses of the dipoles as fields, to be learned; None without dipoles.

        Where conditions are sums of what each event makes alone, these sums, and each event alone.
        """
        self._metric, self._scale, events = np.zeros((0, 0)), np.zeros(0), problem.events
        if not found.dipoles:
            return events, None
        courses = found.courses / np.sqrt(problem.nave)[:, None, None]
        if found.responses is not None:
            events = np.concatenate([events, single_events(events)])
            courses = sums_of(events, found.responses)
        self._size_network(problem, found.n_components)
        scale = np.sqrt(np.square(courses).mean(axis=(0, 2)))
        scale = np.maximum(scale, 1e-3 * scale.max() or 1.0)
        metric = np.linalg.qr(found.columns)[1]  # as far apart as their fields are
        size = np.sqrt(np.square(metric @ courses).mean()) or 1.0
        self._metric, self._scale = metric / size, scale
        return events, metric @ courses / size

    def _keep_all(self, problem, metric, scale):
        """Keep every orientation of every position as a source.

        metric (n_outputs, n_sources): From the source layer to what is trained on.
        scale (n_sources,): A m of one unit of the source layer.
        """
        n_orient = problem.n_orient
        self._metric, self._scale, self._lead = metric, scale, problem.gain_raw
        self._where = np.repeat(np.arange(problem.n_positions), n_orient)
        self._axes = np.tile(np.eye(n_orient), (problem.n_positions, 1))

    # ------------------------------------------------------------------ what TorchEstimator asks

    def _module_params(self):
        return {
            "n_events": self.n_features_in_,
            "gain": self._metric,
            "scale": self._scale,
            "cell": self.cell,
            "hidden_size": self.hidden_size_,
            "n_layers": self.n_layers,
            "init": self.init,
            "span": self._span,
        }

    def _criterion(self):
        return PenalizedLoss(self.penalty, self.n_orient_)

    def _inputs(self, X):
        return {"events": torch.tensor(np.array(X), dtype=self._tensor_dtype)}

    def _targets(self, X, y):
        return torch.as_tensor(np.asarray(y), dtype=self._tensor_dtype)

    # ------------------------------------------------------------------ what SourceEstimator asks

    def _currents(self, X):
        """Sources of events, (n, n_positions, n_orient, n_times), in A m."""
        shape = (len(X), self.n_positions_, self.n_orient_, X.shape[2])
        if not len(self._scale):
            return np.zeros(shape)
        return scattered(self._run(X), self._where, self._axes, np.zeros(shape))

    def _run(self, X):
        module, outputs = self.net_.module_, []
        weight = next(module.parameters())
        with LOCK, limited_threads(self.n_threads), torch.inference_mode():
            module.eval()
            for part in gen_batches(len(X), 64):
                events = self._inputs(X[part])["events"].to(weight.device, weight.dtype)
                outputs.append(module.currents(events).cpu().numpy())
        return np.concatenate(outputs)

    def _operator(self, problem, sources):
        if hasattr(self, "evidence_"):
            courses = self._event_courses(problem.events)
            self._note_goodness(problem, courses)
            return self._dipole_operator(problem, courses)
        return support_operator(problem, sources)

    def _event_courses(self, X):
        return self._run(X) if len(self._scale) else np.zeros((len(X), 0, X.shape[2]))

    def _sources_of(self, X):
        return self._currents(X)

    def _fitted_fields(self, problem, sources):
        return self._fields_of(problem.events)

    def _fields_of(self, X):
        if not len(self._scale):
            return np.zeros((len(X), len(self._lead), X.shape[2]))
        return self._lead @ self._run(X)
