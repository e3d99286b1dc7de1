"""Sources of event-related fields by a recurrent network with a frozen lead field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param, check_random_state, check_scalar_param
from .._training.device import limited_threads
from .._training.threads import LOCK
from ..base import TorchEstimator
from ._base import SourceEstimator
from ._conditions import first_change, is_mne
from ._dipole_search import find_dipoles
from ._network import CELLS, PenalizedLoss, SourceNet
from ._operator import courses_of_fields, scattered, support_operator, wiener_operator
from ._settle import Settle
from ._training import Phases, layer_scale, lead_modes, penalty_strength

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import (
        ArrayLike,
        Covariance,
        Dipole,
        Forward,
        Info,
        MneObject,
        PathLike,
        RandomSeed,
    )

UNITS = (16, 512)  # recurrent units of an event, least and most, and where that is not known: 32
FORGOTTEN = (
    "net_", "history_", "n_iter_", "device_", "sources_", "evidence_", "stability_",
    "dipole_positions_", "dipole_orientations_",
)  # fmt: skip

#: Parameters that make :class:`RNNSourceSolver` the network of the paper, trained as there: all
#: positions, first the fields alone, then with an L1 penalty. Sizes and rates are rebuilt.
PAPER_PARAMS: dict[str, Any] = {
    "selection": "penalty",
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
    "selection": "penalty",
    "penalty": "l21",
    "recurrent_init": "random",
    "schedule": None,
    "max_epochs": 300,
}


class RNNSourceSolver(SourceEstimator, TorchEstimator):
    """Recurrent network from events to fields whose output weights are the lead field.

    The last hidden layer is the source estimate (O'Reilly et al. 2023). By default dipoles are
    found by maximum likelihood against the noise that single trials differ by, in volume grids
    between the points, too, and the network learns their time courses (``selection="likelihood"``).
    The paper's way, all positions under a penalty, is ``selection="penalty"``;
    ``RNNSourceSolver(**PAPER_PARAMS)`` has all of its recipe.

    Parameters
    ----------
    forward : None, ndarray or mne.Forward, default=None
        Lead field, field per A m: (n_channels, n_positions) for fixed orientations,
        (n_channels, n_positions, 3) for free ones. None: identity, sources are channels, and
        none is left out.
    noise_cov : None, ndarray or mne.Covariance, default=None
        Noise covariance of a single trial. None: estimated from the samples before the first
        event change and shrunk, or the overall variance where there are none.
    selection : {"likelihood", "penalty"}, default="likelihood"
        How the active positions are chosen.
    alpha : float or "auto", default="auto"
        What a source must pass. "auto" is what noise alone does not. A number above 0 and below
        100 is in percent of the amplitude (power: its square) that the best position explains
        alone, so that at least one source is left whatever the noise. Further sources must explain
        6 % of that power beside the others in any case, and 40 % if their fields are alike: numbers
        below 25 are as good as 25. With ``selection="penalty"``: the strength of the penalty, in
        percent of what leaves no source.
    penalty : {"l21", "l1"}, default="l21"
        With ``selection="penalty"``: on positions (the norm over orientations at each sample),
        or on each component.
    n_reweight : int, default=3
        With ``selection="penalty"``: rounds in which the penalty is reweighted.
    n_modes : int, default=60
        With ``selection="penalty"``: directions of the lead field that are fitted.
    max_sources : int, default=10
        With ``selection="likelihood"``: most sources.
    n_estimators : int, default=1
        More than 1 repeats the choice of positions under so many realizations of the noise, for
        ``stability_``; 60 of them differ, then they come again. Ignored with
        ``selection="penalty"`` or ``forward=None``, where no positions are chosen.
    cell : {"gru", "lstm", "rnn"}, default="gru"
        Recurrent cell.
    hidden_size : int or "auto", default="auto"
        Recurrent units. "auto": two for each component of time that the courses of the sources
        need, for each event; 32 an event where that is not known.
    n_layers : int, default=1
        Recurrent layers.
    init : {"zeros", "random"}, default="zeros"
        Of the source layer.
    recurrent_init : {"oscillators", "random"}, default="oscillators"
        Of the recurrent units. Oscillators are damped and small, so that the cells are linear
        where they start: an event that comes later moves the response. "random" is torch's.
    orientation : {"free", "loose", "fixed"}, default="free"
        Of sources of an mne.Forward; the last two need surface source spaces.
    loose : float, default=0.2
        Variance of tangential sources relative to normal ones, for ``orientation="loose"`` with
        ``selection="penalty"``; where dipoles are searched, "loose" is as "free".
    depth : float or None, default=0.8
        Exponent of depth weighting: how much stronger the currents of deep sources may be. Not used
        where dipoles are searched and single trials say what is noise.
    onset : int or None, default=None
        Sample of the event where no event time courses are given; None: time 0 of MNE objects.
    nave : int, default=1
        How many trials each row of an array y is the average of.
    info : mne.Info or None, default=None
        Names, projections and bad channels of an array y.
    max_epochs : int, default=200
        Most training steps: all conditions are one batch. With ``selection="likelihood"`` training
        ends as soon as less than 0.1 % of the power of the time courses is missed, which
        oscillators often reach before it begins.
    lr : float, default=0.01
        Learning rate: the peak of a schedule.
    weight_decay : float, default=0.0
        Of AdamW.
    schedule : {"onecycle", "cosine"} or None, default="onecycle"
        How the learning rate changes over the whole fit.
    clip_norm : float or None, default=1.0
        Largest norm of the gradient.
    device : str, default="auto"
        "auto" is a GPU where there is one, else the CPU.
    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Of weights and computation.
    n_threads : int or None, default=1
        CPU threads within one fit.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights and the draws of noise.
    verbose : int, default=0
        1 shows a progress bar.
    callbacks : list of skorch callbacks or None, default=None
        Added to ours.
    net_params : dict or None, default=None
        Further parameters of :class:`skorch.NeuralNet`.
    cache_dir : path-like or None, default=None
        Folder in which training is kept, so that the same fit goes on there after it was killed,
        to the same weights; `random_state` must be an int.

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Of the fitted conditions, in A m.
    fields_ : ndarray of shape (n_conditions, n_channels, n_times)
        What the sources make at the sensors, in the units of y. Those of a dipole between grid
        points are interpolated from the points around it, while ``sources_`` puts its whole
        moment at the nearest.
    support_ : ndarray of int of shape (n_sources,)
        Positions there is evidence for, the nearest of the grid; all with ``selection="penalty"``
        or ``forward=None``.
    evidence_ : ndarray of shape (n_sources,)
        Power that each of ``support_`` explains beside the others, over what noise alone does not
        pass (or `alpha` asks for), at least 1. Only where positions are chosen: with
        ``selection="likelihood"`` and a `forward`.
    dipole_positions_ : ndarray of shape (n_sources, 3)
        Where they are, in m and head coordinates: in volume grids also between the points.
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
    taken as averages. Those do not show how much slow noise of the brain is left in them: a source
    must then explain ten times what white noise does, large currents are held to be unlikely, and
    there may be a source in noise alone all the same. Read them with care.

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

    _module_class = SourceNet
    # All conditions are one batch and none is held out: there is one recording, no corpus.
    batch_size, patience, validation_fraction, validation_split = 1_000_000, None, 0, "random"

    def __init__(
        self,
        forward: np.ndarray | Forward | None = None,
        noise_cov: np.ndarray | Covariance | None = None,
        selection: Literal["likelihood", "penalty"] = "likelihood",
        alpha: float | Literal["auto"] = "auto",
        penalty: Literal["l21", "l1"] = "l21",
        n_reweight: int = 3,
        n_modes: int = 60,
        max_sources: int = 10,
        n_estimators: int = 1,
        cell: Literal["gru", "lstm", "rnn"] = "gru",
        hidden_size: int | Literal["auto"] = "auto",
        n_layers: int = 1,
        init: Literal["zeros", "random"] = "zeros",
        recurrent_init: Literal["oscillators", "random"] = "oscillators",
        orientation: Literal["free", "loose", "fixed"] = "free",
        loose: float = 0.2,
        depth: float | None = 0.8,
        onset: int | None = None,
        nave: int = 1,
        info: Info | None = None,
        max_epochs: int = 200,
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        schedule: Literal["onecycle", "cosine"] | None = "onecycle",
        clip_norm: float | None = 1.0,
        device: str = "auto",
        dtype: Literal["float32", "float64", "bfloat16"] = "float32",
        n_threads: int | None = 1,
        random_state: RandomSeed = None,
        verbose: int = 0,
        callbacks: list | None = None,
        net_params: dict | None = None,
        cache_dir: PathLike | None = None,
    ) -> None:
        self.forward = forward
        self.noise_cov = noise_cov
        self.selection = selection
        self.alpha = alpha
        self.penalty = penalty
        self.n_reweight = n_reweight
        self.n_modes = n_modes
        self.max_sources = max_sources
        self.n_estimators = n_estimators
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.init = init
        self.recurrent_init = recurrent_init
        self.orientation = orientation
        self.loose = loose
        self.depth = depth
        self.onset = onset
        self.nave = nave
        self.info = info
        self.max_epochs = max_epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.net_params = net_params
        self.cache_dir = cache_dir

    # ------------------------------------------------------------------ checks

    def _check_params(self):
        check_option_param(self, "selection", ("likelihood", "penalty"))
        check_option_param(self, "penalty", ("l21", "l1"))
        check_option_param(self, "cell", tuple(CELLS))
        check_option_param(self, "init", ("zeros", "random"))
        check_option_param(self, "recurrent_init", ("oscillators", "random"))
        if not (isinstance(self.alpha, str) and self.alpha == "auto"):
            check_scalar_param(self, "alpha", "float", 0, 100, closed="neither")
        check_scalar_param(self, "n_reweight", "int", 0)
        for name in ("n_modes", "max_sources", "n_estimators", "n_layers"):
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

    # ------------------------------------------------------------------ dipoles

    def to_dipoles(self, X: ArrayLike | MneObject | None = None) -> list[list[Dipole]]:
        """Sources as mne dipoles, where they were found: between grid points, too.

        Parameters
        ----------
        X : as for ``transform``

        Returns
        -------
        dipoles : list of list of mne.Dipole
            For each row of X, or fitted condition, one a source, in the order of ``support_``.
            In head coordinates and A m; the amplitude has a sign, the orientation is that of a
            source that turns at each sample. Goodness of fit is NaN.

        Raises
        ------
        ValueError
            Without an mne.Forward, or with ``selection="penalty"``.
        """
        from ._mne import make_dipoles

        check_is_fitted(self)
        if not hasattr(self, "dipole_positions_"):
            raise ValueError(
                "to_dipoles needs forward to be an mne.Forward and selection='likelihood'. Got "
                f"forward of type {type(self.forward).__name__} and "
                f"selection={self.selection!r}: use transform."
            )
        data = self._data(X)
        if data is None:
            events = self._events(X)
            courses, start = self._run(events) if len(self._scale) else None, self.times_[0]
            n_rows, n_times = len(events), events.shape[2]
        else:
            courses = np.zeros((len(data[0]), len(self._scale), data[0].shape[2]))
            courses[:, self.inverse_["kept"]] = courses_of_fields(self.inverse_, *data)
            first = X[0] if isinstance(X, list) else X
            start = first.times[0] if is_mne(first) else self.times_[0]
            n_rows, n_times = len(courses), courses.shape[2]
        ways = np.einsum("ko,koi->ki", self._axes, self.axes_[self._where])
        n_dipoles = len(self.dipole_positions_)
        moments = np.zeros((n_rows, n_dipoles, 3, n_times))
        if n_dipoles:
            np.add.at(moments, (slice(None), self._owner), ways[..., None] * courses[:, :, None])
        times = start + self.tstep_ * np.arange(n_times)
        return [make_dipoles(times, self.dipole_positions_, row) for row in moments]

    # ------------------------------------------------------------------ fit

    def _solve(self, problem):
        for name in FORGOTTEN:
            self.__dict__.pop(name, None)
        self._size_network(problem)
        with limited_threads(self.n_threads):
            if self.selection == "penalty":
                targets, strength = self._all_positions(problem)
            else:
                targets = self._chosen_positions(problem)
        if self.selection == "penalty":
            phases = Phases(strength, self.n_reweight)
            self._train(problem.events, targets, callbacks=[("phases", phases)])
        elif len(self._scale):
            self._train(problem.events, targets, callbacks=[("settle", Settle())])
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
        """What is trained by default: time courses of the dipoles there is evidence for."""
        if self.forward is None:  # no inverse problem
            targets = problem.data / np.sqrt(problem.nave)[:, None, None]
            self.support_ = np.arange(problem.n_positions)
            scale = np.full(problem.n_positions, np.sqrt(np.square(targets).mean()))
            scale /= np.linalg.norm(problem.gain, axis=0).max()
            self._keep_all(problem, problem.gain, scale)
            return targets
        found = find_dipoles(
            problem,
            self._grid(),
            self.alpha,
            self.depth,
            self.max_sources,
            self.n_estimators,
            self.random_state,
        )
        self._name(found)
        return self._courses_of(found, problem)

    def _name(self, found):
        """Keep where the dipoles are, which way they point, and how much speaks for each."""
        dipoles = found.dipoles
        self.support_ = np.array([dipole.position for dipole in dipoles], dtype=int)
        self.evidence_ = found.evidence
        if found.stability is not None:
            self.stability_ = found.stability
        counts = [len(dipole.orientations) for dipole in dipoles]
        self._owner = np.repeat(np.arange(len(dipoles)), counts).astype(int)
        main, shape = [dipole.orientations[0] for dipole in dipoles], (-1, self.n_orient_)
        if self.positions_ is not None:
            places = [self.positions_[d.position] if d.place is None else d.place for d in dipoles]
            self.dipole_positions_ = np.array(places).reshape(-1, 3)
            main = [way @ self.axes_[d.position] for way, d in zip(main, dipoles)]
            shape = (-1, 3)
        self.dipole_orientations_ = np.array(main).reshape(shape)

    def _courses_of(self, found, problem):
        """Time courses of the dipoles as fields, to be learned; None without dipoles."""
        if not found.dipoles:
            self._keep(np.zeros((0, 0)), np.zeros(0), np.zeros((len(problem.gain_raw), 0)))
            return None
        courses = found.courses / np.sqrt(problem.nave)[:, None, None]
        self._size_network(problem, found.n_components)
        scale = np.sqrt(np.square(courses).mean(axis=(0, 2)))
        scale = np.maximum(scale, 1e-3 * scale.max() or 1.0)
        metric = np.linalg.qr(found.columns)[1]  # as far apart as their fields are
        size = np.sqrt(np.square(metric @ courses).mean()) or 1.0
        raw = problem.gain_raw.reshape(len(problem.gain_raw), -1, problem.n_orient)
        self._keep(
            metric / size,
            scale,
            np.concatenate([dipole.fields(raw) for dipole in found.dipoles], axis=1),
            self.support_[self._owner],
            np.concatenate([dipole.orientations for dipole in found.dipoles]),
        )
        return metric @ courses / size

    def _grid(self):
        """Coordinates of the positions, if dipoles may lie between them."""
        if self.source_kind_ not in ("volume", "discrete") or self.n_orient_ != 3:
            return None
        return self.positions_ if np.all(self.axes_ == self.axes_[0]) else None

    def _keep(self, metric, scale, lead, positions=(), axes=()):
        """Keep what the network is built from, and where its sources go.

        Parameters
        ----------
        metric : ndarray of shape (n_outputs, n_sources)
            From the source layer to what is trained on.
        scale : ndarray of shape (n_sources,)
            A m of one unit of the source layer.
        lead : ndarray of shape (n_channels, n_sources)
            Their fields.
        positions : ndarray of int of shape (n_sources,)
        axes : ndarray of shape (n_sources, n_orient)
        """
        self._metric, self._scale, self._lead = metric, scale, lead
        self._where = np.asarray(positions, dtype=int)
        self._axes = np.asarray(axes, dtype=float).reshape(len(scale), self.n_orient_)

    def _keep_all(self, problem, metric, scale):
        """Keep every orientation of every position as a source."""
        n_orient = problem.n_orient
        self._keep(
            metric,
            scale,
            problem.gain_raw,
            np.repeat(np.arange(problem.n_positions), n_orient),
            np.tile(np.eye(n_orient), (problem.n_positions, 1)),
        )

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
        if len(self._scale) > problem.n_positions:  # all positions, under a penalty
            return support_operator(problem, sources)
        start = first_change(problem.events) or 0
        power = np.zeros(len(self._scale))
        if len(power):
            power = np.square(self._run(problem.events)[..., start:]).mean(axis=(0, 2))
        lead = problem.whitener @ self._lead
        return wiener_operator(lead, power, problem.whitener, self._where, self._axes)

    def _sources_of(self, X):
        return self._currents(X)

    def _fitted_fields(self, problem, sources):
        return self._fields_of(problem.events)

    def _fields_of(self, X):
        if not len(self._scale):
            return np.zeros((len(X), len(self._lead), X.shape[2]))
        return self._lead @ self._run(X)
