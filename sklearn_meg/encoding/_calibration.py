"""Adding subjects to a deep encoder that was fitted."""

import numpy as np

from .._training.callbacks import TrainLastRows
from ._network import SUBJECT_WEIGHTS, with_new_subjects


class Calibration:
    """Train what belongs to new subjects alone."""

    def _calibrate(self, X, y, groups, subjects, new):
        """Add subjects: their scaling from their trials, their weights by training."""
        known = np.intersect1d(subjects, self.subjects_)
        if len(known):
            raise ValueError(
                f"partial_fit takes trials of known or of new subjects, not of both at once. Got "
                f"the known subjects {known.tolist()} and the new ones {new.tolist()}."
            )
        before = dict(vars(self))
        try:
            self._append_subjects(X, y, new)
            weights = with_new_subjects(self.net_.module_.state_dict(), len(new))
            frozen = ("calibrate", TrainLastRows(SUBJECT_WEIGHTS, len(new)))
            return self._train(
                X,
                y,
                groups=groups,
                sample_weight=self._sample_weight,
                weights=weights,
                callbacks=[frozen],
                optimizer__weight_decay=0.0,
            )
        except BaseException:  # also Ctrl-C: the model that was there survives
            vars(self).clear()
            vars(self).update(before)
            raise

    def _append_subjects(self, X, y, new):
        self.subjects_ = np.append(self.subjects_, new)
        found = self._scalings(X, y, np.arange(len(X)))
        for name, values in found.items():
            setattr(self, name, np.concatenate([getattr(self, name), values[-len(new) :]]))
        n_subjects = self._fitted_params["n_subjects"] + len(new)
        self._fitted_params = {**self._fitted_params, "n_subjects": n_subjects}
