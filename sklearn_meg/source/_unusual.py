"""Which rows of new data are unlike those that sources were fitted to."""

import numpy as np

from .._checks.unusual import UnusualMixin
from ._settings import SETTINGS


class UnusualFields(UnusualMixin):
    """``is_unusual`` of source estimators: trials whose fields are unlike those of ``fit``.

    Of each row, in units of the noise of each channel: power, how fast it changes, the channel
    that is most unlike itself, the share of power in directions in which the rows of ``fit`` have
    little, and how much of the response is there; all against the rows of ``fit``. Averages of a
    few conditions do not tell what is usual: then no row is unusual.
    """

    def _keep_usual(self, fields, nave, labels):
        """Keep what is usual, and scores of the rows of ``fit`` by what the others tell.

        fields (n_rows, n_channels, n_times), nave (n_rows,)
        labels (n_rows,) int: Condition of each.
        """
        chosen = np.unique(np.linspace(0, len(fields) - 1, SETTINGS.usual_rows).astype(int))
        self.usual_scores_, self._usual = np.zeros(0), {}
        if len(chosen) < SETTINGS.fewest_usual:
            return
        rows, labels = self._in_noise(fields[chosen], nave[chosen]), labels[chosen]
        kinds = np.unique(labels)
        usual = {
            "directions": _directions(rows),
            "responses": np.array([rows[labels == kind].mean(axis=0) for kind in kinds]),
        }
        power, looks = _looks(usual, rows)
        looks[:, -1] = _response_of_others(usual["responses"], rows, np.searchsorted(kinds, labels))
        self.usual_scores_ = np.zeros(len(rows))
        folds = np.arange(len(rows)) % SETTINGS.folds
        for held in (folds == fold for fold in range(SETTINGS.folds)):
            known = _levels(power[~held], looks[~held])
            self.usual_scores_[held] = _scores(known, power[held], looks[held])
        self._usual = {**usual, **_levels(power, looks)}

    def _unusual_scores(self, X):
        data = self._data(X)
        if data is None:
            raise ValueError(
                f"X must be data of the {self.n_outputs_} fitted channels, as for transform."
            )
        if not self._usual:
            return np.zeros(len(data[0]))
        return _scores(self._usual, *_looks(self._usual, self._in_noise(*data)))

    def _in_noise(self, fields, nave):
        """Rows in units of their noise, channels that were used."""
        scale = np.where(self.noise_scale_ > 0, self.noise_scale_, 1.0)[self._used, None]
        return fields[:, self._used] * (np.sqrt(nave)[:, None, None] / scale)


def _directions(rows):
    """Directions in space that hold most of the power of rows, (n_channels, n)."""
    gram = sum(row @ row.T for row in rows)
    return np.linalg.eigh(gram)[1][:, -min(SETTINGS.usual_directions, max(len(gram) // 2, 1)) :]


def _looks(usual, rows):
    """Statistics of each row: power of channels (n_rows, n_channels), and (n_rows, n)."""
    power = np.array([np.square(row).mean(axis=1) for row in rows])
    power = np.maximum(power, 1e-12 * max(power.mean(), 1e-300))
    total, responses = power.sum(axis=1), usual["responses"]
    inside = [np.square(usual["directions"].T @ row).sum() / row.shape[1] for row in rows]
    outside = np.maximum(total - inside, 1e-9 * total)
    steps = [np.square(np.diff(row, axis=1)).sum() / row.shape[1] for row in rows]
    looks = [np.log(total), np.log(steps / total + 1e-9), np.log(outside / total)]
    if rows.shape[2] == responses.shape[2]:
        size = np.sqrt(np.maximum(np.square(responses).sum(axis=(1, 2)), 1e-300))
        looks.append([(np.tensordot(responses, row, axes=2) / size).max() for row in rows])
    return np.log(power), np.array(looks).T


def _response_of_others(responses, rows, labels):
    """Size of the response of the other rows of its condition in each row, in its norm."""
    counts, out = np.bincount(labels), []
    for row, label in zip(rows, labels):
        others = counts[label] * responses[label] - row
        out.append((others * row).sum() / max(np.linalg.norm(others), 1e-300))
    return np.array(out)


def _levels(power, looks):
    """Mean and spread of what is usual."""
    names = "channels", "looks"
    return {name: (v.mean(axis=0), _spread(v)) for name, v in zip(names, (power, looks))}


def _scores(usual, power, looks):
    """Largest deviation of each row, in standard deviations of the usual ones."""
    channels = np.abs((power - usual["channels"][0]) / usual["channels"][1])
    mean, spread = usual["looks"]
    n = looks.shape[1]  # rows of another length: no response
    return np.maximum(channels.max(axis=1), np.abs((looks - mean[:n]) / spread[:n]).max(axis=1))


def _spread(values):
    return np.maximum(values.std(axis=0, ddof=1), SETTINGS.least_spread)
