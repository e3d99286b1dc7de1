"""A loss that knows how the noise goes on in time.

Ongoing activity is correlated from sample to sample, so that its errors are mostly slow. Weighed
by their inverse covariance (generalized least squares) the same responses are estimated from fewer
trials. With an autoregression of each channel that is the squared innovation,
``(e[t] - sum_k a_k e[t - k]) / s``; after the known beginning, where ``e = 0``, exactly.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from .._training.batches import MaskedMSELoss, mean_of_counted
from ._blocks import not_zero


@dataclass(frozen=True)
class Settings:
    """Chosen on seeds 31 and 32 of world N and 31 of world S, of 6 subjects x 300 trials.

    R as a share of the ceiling: .936, .939, .946 with the squared error alone, .945, .950, .961
    with half of both, .937, .862, .958 with innovations alone. A covariance over channels beside:
    .945, .948, .963.
    """

    #: Samples that the autoregression looks back.
    order: int = 8
    #: Ridge on the autoregression, in samples of the variance.
    ridge: float = 10.0


SETTINGS = Settings()


def autoregression(pieces, n_channels, n_times, start):
    """Fit one autoregression a channel to what a model leaves.

    pieces (iterable of (errors, weights)): Errors (n_trials, n_channels, n_times), 0 in the known
        beginning and NaN where a sample does not count; weights (n_trials,) or 1.
    start: Samples of the known beginning.
    Returns filters (n_channels, order): Empty where trials are too short.
    and scale (n_channels,): Standard deviation of the innovations.
    """
    order = min(SETTINGS.order, (n_times - start) // 4)
    first = first_judged(start, order)
    products = np.zeros((n_channels, order + 1, order + 1))
    count = np.zeros(n_channels)
    for error, weight in pieces:
        there = ~np.isnan(error[:, :, first:])
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(np.nan_to_num(error), ((0, 0), (0, 0), (order, 0))), order + 1, axis=2
        )[:, :, first:, ::-1]  # this sample, then those before it
        windows = np.where(there[..., np.newaxis], windows, 0.0)
        weight = np.broadcast_to(weight, len(error))
        products += np.einsum("nctj,nctk,n->cjk", windows, windows, weight, optimize=True)
        count += weight @ there.sum(axis=2)
    count = not_zero(count)
    products /= count[:, np.newaxis, np.newaxis]
    variance = np.maximum(products[:, 0, 0], 1e-12)
    weight = SETTINGS.ridge / count * variance
    ridge = weight[:, np.newaxis, np.newaxis] * np.eye(order)
    filters = np.linalg.solve(products[:, 1:, 1:] + ridge, products[:, 1:, :1])[..., 0]
    left = products[:, 0, 0] - np.einsum("ck,ck->c", filters, products[:, 0, 1:])
    return filters, np.sqrt(np.maximum(left, 1e-2 * variance))


def first_judged(start, order):
    """First sample whose past is known: after the beginning, or after the order without one."""
    return start if start else order


class InnovationLoss(MaskedMSELoss):
    """Squared errors and, in training, squared innovations.

    filters (n_channels, order), scale (n_channels,)
    start: Samples of the known beginning.
    share: Share of the innovations.
    """

    def __init__(self, filters, scale, start, share):
        super().__init__()
        kernel = np.concatenate([-filters[:, ::-1], np.ones((len(filters), 1))], axis=1)
        kernel = kernel / scale[:, np.newaxis]
        self.kernel = torch.as_tensor(kernel[:, np.newaxis])  # float64: some devices have none
        self.order = filters.shape[1]
        self.first, self.share = first_judged(start, self.order), share

    def forward(self, y_pred, y_true, weight=None):
        """Return the mean over the valid samples, of weighted trials; 0 if there is none."""
        squares = super().forward(y_pred, y_true, weight)
        if not self.training or not self.order:
            return squares
        counted = ~torch.isnan(y_true)
        error = torch.where(counted, y_pred.to(y_true.dtype) - torch.nan_to_num(y_true), 0.0)
        kernel = self.kernel.to(error.dtype).to(error.device)
        new = F.conv1d(F.pad(error, (self.order, 0)), kernel, groups=len(kernel))
        judged = counted[..., self.first :]
        new = torch.where(judged, new[..., self.first :], 0.0)
        innovations = mean_of_counted(new.square(), judged, weight)
        return (1 - self.share) * squares + self.share * innovations
