"""What every decoder of nerve signals shares: features, sessions, normalization, decisions."""

from __future__ import annotations

import numpy as np

from .._checks.mne_objects import has_mne_mark
from .._checks.params import check_option_param, check_scalar_param
from .._checks.trials import check_trials
from .._checks.whole import WholeFit
from .._padding import is_ragged
from .._routing import RoutedGroups
from ..rows import split_session
from ._doubts import doubt_amplifier, doubt_hum, doubt_trials, doubt_units
from ._ragged import by_length, stretched, trials_of_unequal_length
from ._sessions import RunningNormalizer, class_means, location_and_scale, mean_normal, normalized
from .features import NerveFeatures, check_windows


def check_not_ragged(X):
    """Say what to do with trials of unequal length, which need the same number of windows."""
    if is_ragged(X):
        lengths = sorted({np.shape(trial)[-1] for trial in X})
        raise ValueError(
            f"X must hold trials of one length. Got {lengths[0]} to {lengths[-1]} samples. Cut "
            f"them to {lengths[0]}, [trial[:, :{lengths[0]}] for trial in X], or give them to "
            "stream() one by one, which takes trials of any length."
        )


def own_sessions(session, people):
    """Sessions of person 0 (of the model), or of everybody where there is none."""
    own = people == 0
    return np.unique(session[own] if own.any() else session)


class NerveModel(WholeFit, RoutedGroups):
    """Checks, features and normalization within sessions, of classifiers and regressors."""

    _takes_ragged = False  # whether trials may be of unequal length

    def _check_model(self):
        check_scalar_param(self, "sfreq", "float", 0, closed="neither", allow_none=True)
        check_scalar_param(self, "prior_trials", "float", 0, closed="neither")
        check_windows(self)
        self._check_adaptation()

        if getattr(self, "ring", False) and self.sfreq is None:
            raise ValueError("ring=True turns raw signals: give sfreq. Got sfreq=None.")

    def _check_adaptation(self):
        check_option_param(self, "adaptation", (None, "batch", "online"))
        if self.adaptation is not None and self.session_row is None:
            raise ValueError(
                f"adaptation={self.adaptation!r} adapts to sessions: say in which row of X the "
                "session is. Got session_row=None."
            )

    def _extractor(self):
        """The transformer of raw signals, or None where X holds features."""
        names = "sfreq", "window", "hop", "features", "covariance"
        params = {name: getattr(self, name) for name in names}
        if hasattr(self, "_fitted_windows"):  # whatever set_params did since
            params = self._fitted_windows
        if params["sfreq"] is None:
            return None
        extractor = NerveFeatures(**params)
        if hasattr(self, "thresholds_"):
            extractor.thresholds_ = self.thresholds_
            extractor.window_samples_, extractor.hop_samples_ = extractor._sizes()
            extractor.n_features_out_ = len(self.normal_[0])
        return extractor

    def _raw_features(self, X, *, reset):
        """Features (n_trials, n_features, n_windows), sessions (n_trials,) or None."""
        if reset:
            self.__dict__.pop("_fitted_windows", None)
            self.__dict__.pop("thresholds_", None)
        extractor = self._extractor()
        if extractor is None and has_mne_mark(X, "drop_log"):
            raise ValueError(
                "sfreq must be the sampling rate where X holds raw signals, as Epochs do "
                f"(info['sfreq'] is {X.info['sfreq']:g}). Got sfreq=None, which means features."
            )
        if extractor is not None and not reset:
            extractor._check_not_one_trial(X, self.n_features_in_)
        ragged = trials_of_unequal_length(X, self.session_row) if self._takes_ragged else None
        if ragged is not None:
            return self._ragged_features(ragged, extractor, reset=reset)
        check_not_ragged(X)
        X = check_trials(self, X, reset=reset)
        if reset:  # later trials may be of another length
            del self.n_times_in_
        signal, session = split_session(X, self.session_row)
        if extractor is None:
            if reset:
                self._fitted_windows = {"sfreq": None}
                self._doubt_features(signal)
            return np.ascontiguousarray(signal, dtype=float), session
        extractor._check_params()
        extractor._check_length(signal)
        if reset:
            doubt_trials(signal)
        self._look_at(signal, extractor, reset=reset)
        return extractor._features(signal), session

    def _look_at(self, signal, extractor, *, reset):
        """Learn from signals, or compare them with those of fit."""
        if reset:
            extractor._learn(signal)
            self.thresholds_ = extractor.thresholds_
            self._fitted_windows = extractor.get_params()
        else:
            doubt_units(signal, self.thresholds_)
        doubt_amplifier(signal)
        doubt_hum(signal, extractor.sfreq)

    def _doubt_features(self, signal):
        """Say where features are none."""

    def _ragged_features(self, trials, extractor, *, reset):
        """As `_raw_features`, of trials of unequal length; all have the windows of training."""
        if getattr(self, "ring", False):
            raise ValueError("ring=True needs trials of one length. Got trials of unequal length.")
        groups = []
        for index, X in by_length(trials):
            X = check_trials(self, X, reset=reset and not groups)
            self.__dict__.pop("n_times_in_", None)
            groups.append((index, *split_session(X, self.session_row)))
        if extractor is None:
            self._fitted_windows = {"sfreq": None}
        else:
            extractor._check_params()
            for _, signal, _ in groups:
                extractor._check_length(signal)
            every = [np.concatenate(list(signal), axis=1) for _, signal, _ in groups]
            self._look_at(np.concatenate(every, axis=1)[np.newaxis], extractor, reset=reset)
        parts = [
            signal.astype(float) if extractor is None else extractor._features(signal)
            for _, signal, _ in groups
        ]
        counts = np.concatenate([np.full(len(F), F.shape[2]) for F in parts])
        n_windows = int(np.median(counts)) if reset else self.n_windows_
        order = np.argsort(np.concatenate([index for index, _, _ in groups]))
        F = np.concatenate([stretched(F, n_windows) for F in parts])[order]
        if self.session_row is None:
            return F, None
        return F, np.concatenate([session for _, _, session in groups])[order]

    def _channels(self, n_features):
        """Channels that each feature is made from; nothing is known of features that came as X."""
        extractor = self._extractor()
        if extractor is None:
            return tuple((f,) for f in range(n_features))
        n = self.thresholds_.shape[1]
        channels = [(c,) for c in range(n) for _ in extractor._names()]
        if self.covariance:
            channels += 2 * [(i, j) for i in range(n) for j in range(i, n)]
        return tuple(channels)

    # ------------------------------------------------------------------ sessions

    def _fit_normal(self, F, session, y=None, weights=None, people=None):
        """Learn mean and scale of all sessions and of each, and normalize; classes y alike."""
        session = np.zeros(len(F)) if session is None else session
        self.sessions_ = np.unique(session)

        def normal_of(i):
            w = None if weights is None else weights[i]
            return location_and_scale(F[i], w) if y is None else class_means(F[i], y[i], w)

        self.session_normals_ = np.stack([normal_of(session == s) for s in self.sessions_])
        self.normal_ = normal_of(np.arange(len(F)))
        if self.adaptation is not None:
            own = self.sessions_ if people is None else own_sessions(session, people)
            self.normal_ = mean_normal(self.session_normals_[np.isin(self.sessions_, own)])
        self.n_windows_ = F.shape[2]
        out = np.empty_like(F)
        for s, normal in zip(self.sessions_, self.session_normals_, strict=True):
            chosen = self.normal_ if self.adaptation is None else normal
            out[session == s] = normalized(F[session == s], chosen)
        return out, session

    def _running(self):
        """Normalization of a new session, those of training counting as some trials."""
        return RunningNormalizer(self.normal_, self.prior_trials * self.n_windows_)

    def _known_normal(self, session):
        """Mean and scale that stay: of a known session, or where nothing adapts; else None."""
        if self.adaptation is None:
            return self.normal_
        known = [] if session is None else np.flatnonzero(self.sessions_ == session)
        return self.session_normals_[known[0]] if len(known) else None

    def _batch_normal(self, F):
        """Mean and scale of a new session from all its trials."""
        return self._running().add(F).normal

    def _by_session(self, F, session):
        """Slices of trials and what they are: (index, "fixed" with a normal, "batch", "online")."""
        self._check_adaptation()
        if self.adaptation is None:
            return [(np.arange(len(F)), "fixed", self.normal_)]
        found = []
        for s in dict.fromkeys(session.tolist()):
            index = np.flatnonzero(session == s)
            known = np.flatnonzero(self.sessions_ == s)
            if len(known):
                found.append((index, "fixed", self.session_normals_[known[0]]))
            elif self.adaptation == "batch":
                found.append((index, "batch", self._batch_normal(F[index])))
            else:
                found.append((index, "online", None))
        return found
