"""The recurrent network whose output weights are the lead field, in torch alone."""

import numpy as np
import torch
from torch import nn

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class SourceNet(nn.Module):
    """Events to sources by a recurrent network, sources to fields by a frozen lead field.

    O'Reilly et al. 2023: the last hidden layer, linear in the recurrent units, is the source
    estimate, because what follows it is physics. That is a buffer, never trained.

    Parameters
    ----------
    n_events : int
    gain : ndarray of shape (n_outputs, n_sources)
        From sources in A m to what is fitted.
    scale : ndarray of shape (n_sources,)
        A m of one unit of the source layer.
    cell : {"rnn", "gru", "lstm"}
    hidden_size, n_layers : int
    init : {"zeros", "random"}
        Of the source layer. Zeros: no source before the fields ask for one.
    """

    def __init__(self, n_events, gain, scale, *, cell, hidden_size, n_layers, init):
        super().__init__()
        # Without bias: nothing happens before an event does.
        self.rnn = CELLS[cell](n_events, hidden_size, n_layers, bias=False, batch_first=True)
        self.sources = nn.Linear(hidden_size, len(scale), bias=False)
        if init == "zeros":
            nn.init.zeros_(self.sources.weight)
        gain, scale = np.asarray(gain) * scale, np.asarray(scale)
        # Not in the state: they are rebuilt from the parameters of this module.
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float32), persistent=False)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64), persistent=False)

    def forward(self, events):
        """Fields (n, n_outputs, n_times) of events (n, n_events, n_times).

        In training also the source layer (n, n_times, n_sources), for the penalty.
        """
        layer = self.layer(events)
        fields = (layer @ self.gain.T).transpose(1, 2)
        return (fields, layer) if self.training else fields

    def layer(self, events):
        """Source layer, (n, n_times, n_sources)."""
        return self.sources(self.hidden(events))

    def hidden(self, events):
        """Recurrent units, (n, n_times, hidden_size)."""
        return self.rnn(events.transpose(1, 2))[0]

    def currents(self, events):
        """Sources in A m, float64: (n, n_sources, n_times)."""
        return (self.layer(events).double() * self.scale.double()).transpose(1, 2)


class PenalizedLoss(nn.Module):
    """Squared error a sample and channel, plus a penalty on the source layer.

    Parameters
    ----------
    penalty : {"l1", "l21"}
        Sum of magnitudes, of components or of positions (norm over orientations), a sample.
    n_orient : int
    """

    def __init__(self, penalty="l21", n_orient=1):
        super().__init__()
        self.penalty, self.n_orient = penalty, n_orient
        self.strength, self.weights = 0.0, None

    def forward(self, y_pred, y_true):
        """Loss of (fields, layer), or of fields alone."""
        fields, layer = y_pred if isinstance(y_pred, tuple) else (y_pred, None)
        error = 0.5 * (fields - y_true).square().mean()
        if layer is None or not self.strength:
            return error
        size = self.magnitudes(layer)
        if self.weights is not None:
            size = size * self.weights
        return error + self.strength * size.sum(dim=-1).mean() / y_true.shape[1]

    def magnitudes(self, layer):
        """Magnitude of each position or component, (n, n_times, n_positions)."""
        if self.penalty == "l1" or self.n_orient == 1:
            return layer.abs()
        grouped = layer.reshape(*layer.shape[:-1], -1, self.n_orient)
        return (grouped.square().sum(dim=-1) + 1e-12).sqrt()
