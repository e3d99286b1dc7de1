"""Causal networks from features of windows to decisions: pure torch, no scikit-learn.

All take (n, n_features, n_windows), return (n, n_outputs, n_windows), and go on in a stream from
the state that they return.
"""

import torch
from torch import nn

PAPER_FILTERS, PAPER_UNITS, PAPER_DENSE = 256, 320, 256


class CompactNet(nn.Module):
    """A dense layer, a causal convolution and a GRU; the output sees both."""

    def __init__(self, n_features, n_outputs, hidden_size=128, dropout=0.3):
        super().__init__()
        self.dense = nn.Linear(n_features, hidden_size)
        self.conv = nn.Conv1d(hidden_size, hidden_size, 3)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(2 * hidden_size, n_outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, state=None):
        """Outputs, and the state to go on from."""
        x = self.dropout(torch.relu(self.dense(self.dropout(x.transpose(1, 2))))).transpose(1, 2)
        past, hidden = (x.new_zeros(len(x), x.shape[1], 2), None) if state is None else state
        padded = torch.cat([past, x], dim=2)
        mixed = (torch.relu(self.conv(padded)) + x).transpose(1, 2)
        recurrent, hidden = self.gru(self.dropout(mixed), hidden)
        out = self.out(self.dropout(torch.cat([recurrent, mixed], dim=2)))
        return out.transpose(1, 2), (padded[:, :, -2:], hidden)


class PaperNet(nn.Module):
    """The sizes of the paper: two convolutions, a GRU of two layers, two dense layers.

    dropout: Between the layers.
    """

    def __init__(self, n_features, n_outputs, dropout=0.3):
        super().__init__()
        self.first = nn.Conv1d(n_features, PAPER_FILTERS, 3)
        self.first_norm = nn.BatchNorm1d(PAPER_FILTERS)
        self.second = nn.Conv1d(PAPER_FILTERS, PAPER_FILTERS, 3)
        self.second_norm = nn.BatchNorm1d(PAPER_FILTERS)
        self.gru = nn.GRU(PAPER_FILTERS, PAPER_UNITS, num_layers=2, batch_first=True)
        self.dense = nn.Linear(PAPER_UNITS, PAPER_DENSE)
        self.out = nn.Linear(PAPER_DENSE, n_outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, state=None):
        """Outputs, and the state to go on from."""
        if state is None:
            state = (
                x.new_zeros(len(x), x.shape[1], 2),
                x.new_zeros(len(x), PAPER_FILTERS, 2),
                None,
            )
        past, middle, hidden = state
        x = torch.cat([past, x], dim=2)
        past = x[:, :, -2:]
        x = torch.cat([middle, torch.relu(self.first_norm(self.first(x)))], dim=2)
        middle = x[:, :, -2:]
        x = torch.relu(self.second_norm(self.second(x))).transpose(1, 2)
        x, hidden = self.gru(self.dropout(x), hidden)
        x = self.out(torch.relu(self.dense(self.dropout(x))))
        return x.transpose(1, 2), (past, middle, hidden)


NETWORKS = {"compact": CompactNet, "paper": PaperNet}


class NerveNet(nn.Module):
    """One network, and in training what a new session might do to its features.

    kind ({"compact", "paper"})
    hidden_size: Number of hidden units of "compact".
    augment: Standard deviation of an offset of each feature, the same for all windows of a trial.
    channel_dropout: Probability that all features of a channel are zero in a trial.
    channels (tuple of tuple of int): Channels that each feature is made from.
    """

    def __init__(
        self, kind, n_features, n_outputs, hidden_size, dropout, augment, channel_dropout, channels
    ):
        super().__init__()
        sizes = {"hidden_size": hidden_size} if kind == "compact" else {}
        self.network = NETWORKS[kind](n_features, n_outputs, dropout=dropout, **sizes)
        self.augment, self.channel_dropout = augment, channel_dropout
        n_channels = 1 + max((c for each in channels for c in each), default=-1)
        made_of = torch.zeros(n_features, n_channels)
        for feature, each in enumerate(channels):
            made_of[feature, list(each)] = 1.0
        self.register_buffer("made_of", made_of)

    def forward(self, features):
        """Outputs (n, n_outputs, n_windows)."""
        return self.step(self._disturbed(features) if self.training else features, None)[0]

    def step(self, features, state):
        """Outputs, and the state to go on from."""
        return self.network(features, state)

    def _disturbed(self, x):
        if self.augment:
            x = x + self.augment * torch.randn(
                len(x), x.shape[1], 1, dtype=x.dtype, device=x.device
            )
        if self.channel_dropout and self.made_of.shape[1]:
            lost = torch.rand(len(x), self.made_of.shape[1], device=x.device) < self.channel_dropout
            x = x * ~(lost.to(self.made_of.dtype) @ self.made_of.T > 0)[:, :, None]
        return x


class WindowLoss(nn.Module):
    """Cross-entropy of every window against soft targets (n, n_classes), smoothed.

    class_weights (sequence of float or None): Weight of the trials of each class; None weights all
        alike.
    """

    def __init__(self, smoothing=0.1, class_weights=None):
        super().__init__()
        self.smoothing, self.class_weights = smoothing, class_weights

    def forward(self, y_pred, y_true, weight=None):
        """Mean over trials, weighted by how certain their targets are, and by `weight`."""
        logs = torch.log_softmax(y_pred.to(y_true.dtype), dim=1).mean(2)
        target = (1 - self.smoothing) * y_true + self.smoothing / y_true.shape[1]
        certain = y_true.amax(1).square()
        weight = certain if weight is None else certain * weight.to(certain.dtype)
        if self.class_weights is not None:
            weight = weight * weight.new_tensor(self.class_weights)[y_true.argmax(1)]
        return -((target * logs).sum(1) * weight).sum() / weight.sum()
