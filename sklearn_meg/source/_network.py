"""The recurrent network whose output weights are the lead field, in torch alone."""

import numpy as np
import torch
from torch import nn

from ._settings import SETTINGS

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class SourceNet(nn.Module):
    """Events to sources by a recurrent network, sources to fields by a frozen lead field.

    O'Reilly et al. 2023: the last hidden layer, linear in the recurrent units, is the source
    estimate, because what follows it is physics. That is a buffer, never trained.

    gain (n_outputs, n_sources): From sources in A m to what is fitted.
    scale (n_sources,): A m of one unit of the source layer.
    cell ({"rnn", "gru", "lstm"})
    init ({"zeros", "random"}): Initial weights of the source layer. Zeros start without sources.
    span (int or None): Samples from the first event on: the first recurrent layer starts as damped
        oscillators that make up any course of that length, see :func:`start_as_oscillators`. None:
        at random.
    """

    def __init__(self, n_events, gain, scale, *, cell, hidden_size, n_layers, init, span=None):
        super().__init__()
        # Without bias: nothing happens before an event does.
        self.rnn = CELLS[cell](n_events, hidden_size, n_layers, bias=False, batch_first=True)
        if span is not None:
            start_as_oscillators(self.rnn, span)
        self.sources = nn.Linear(hidden_size, len(scale), bias=False)
        if init == "zeros":
            nn.init.zeros_(self.sources.weight)
        gain, scale = np.asarray(gain) * scale, np.asarray(scale)
        # Not in the state: they are rebuilt from the parameters of this module.
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float32), persistent=False)
        self.scale = torch.tensor(scale, dtype=torch.float64)  # on the CPU: not all have float64

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
        """Sources in A m, float64 on the CPU: (n, n_sources, n_times)."""
        return (self.layer(events).cpu().double() * self.scale).transpose(1, 2)


def start_as_oscillators(rnn, span):
    """Set the first layer of a recurrent network to damped oscillators, one bank an event.

    Two units are an oscillator ``h[t + 1] = exp(-2 / span) R(pi k / span) h[t] + w x[t]`` with
    ``R`` a rotation and k = 0, 1, ...: the frequencies of the cosines that make up any course
    of `span` samples, so that the source layer finds what it needs before anything is trained.
    Amplitudes are small, where the cells are linear: an event that comes later, or half as
    strong, moves the response or halves it.

    rnn (nn.RNN, nn.GRU or nn.LSTM): Without bias. Gates start half open, with weights of 0.
    """
    n_hidden, n_events = rnn.hidden_size, rnn.input_size
    turn, push = torch.zeros(n_hidden, n_hidden), torch.zeros(n_hidden, n_events)
    for event, units in enumerate(torch.arange(n_hidden).tensor_split(n_events)):
        for k, pair in enumerate(units.split(2)):
            angle = torch.tensor(torch.pi * k / span)
            cos, sin = torch.cos(angle), torch.sin(angle)
            rotation = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])
            turn[pair[:, None], pair] = (rotation * np.exp(-2 / span))[: len(pair), : len(pair)]
            # What a step would make of it in the end has the size `small`.
            rest = np.abs(1 - np.exp(-2 / span + 1j * np.pi * k / span))
            size = SETTINGS.small * rest / 2**0.5
            push[pair, event] = size * torch.tensor([1.0, 1.0])[: len(pair)]
    with torch.no_grad():
        inputs, hidden = rnn.weight_ih_l0, rnn.weight_hh_l0
        if isinstance(rnn, nn.RNN):
            inputs.copy_(push)
            hidden.copy_(turn)
            return
        # Gates of a half: h <- h / 2 + tanh(W x + U h / 2) / 2 in a GRU, and in an LSTM, whose
        # h is half its cell c, c <- c / 2 + tanh(W x + U c / 2) / 2.
        inputs.zero_()
        hidden.zero_()
        inputs[2 * n_hidden : 3 * n_hidden] = 2 * push
        hidden[2 * n_hidden : 3 * n_hidden] = 4 * turn - 2 * torch.eye(n_hidden)


class PenalizedLoss(nn.Module):
    """Squared error a sample and channel, plus a penalty on the source layer.

    penalty ({"l1", "l21"}): Sum of magnitudes, of components or of positions (norm over
        orientations), a sample.
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
