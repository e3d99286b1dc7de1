"""Networks from grids of field vectors to log thresholds: pure torch, no scikit-learn.

All take the field (n, s, s, s, 3), normalized, and return (n, n_outputs).
"""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import gelu, smooth_l1_loss, softplus

PAPER_FILTERS = (80, 60, 45, 33)


class CompactCNN(nn.Module):
    """Two 3-D convolutions and two dense layers.

    The first convolution has a kernel of 3 and cuts the grid into 3 x 3 x 3 patches, without
    overlap, where the size is a multiple of 3 (9, as usual); else its stride is 2.

    Parameters
    ----------
    size : int
        Samples along each side of the grid.
    n_outputs : int
    n_filters : tuple of int
        Of the two convolutions.
    n_units : tuple of int
        Of the dense layers.
    dropout : float
        Before each dense layer.
    """

    def __init__(self, size, n_outputs, n_filters=(24, 32), n_units=(128, 64), dropout=0.0):
        super().__init__()
        first = min(3, size)
        stride = 3 if size % 3 == 0 else 2
        reduced = (size - first) // stride + 1
        second = min(reduced, 2 if stride == 3 else 3)
        self.first = nn.Conv3d(3, n_filters[0], first, stride=stride)
        self.second = nn.Conv3d(n_filters[0], n_filters[1], second)
        self.dropout = nn.Dropout(dropout)
        widths = [n_filters[1] * (reduced - second + 1) ** 3, *n_units]
        self.dense = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))
        self.out = nn.Linear(widths[-1], n_outputs)

    def forward(self, field):
        """Log thresholds; the channels-last layout of a grid is what convolutions like best."""
        x = gelu(self.first(field.permute(0, 4, 1, 2, 3)))
        x = gelu(self.second(x)).flatten(1)
        for layer in self.dense:
            x = gelu(layer(self.dropout(x)))
        return self.out(x)


class SiteNet(nn.Module):
    """Whichever site is driven first: 1 / threshold is a soft maximum of linear forms of the field.

    Parameters
    ----------
    size, n_outputs : int
    n_sites : int
        Linear forms an output.
    """

    def __init__(self, size, n_outputs, n_sites=64):
        super().__init__()
        self.n_outputs = n_outputs
        self.sites = nn.Linear(3 * size**3, n_outputs * n_sites)
        with torch.no_grad():
            self.sites.weight.mul_(0.3)
        self.log_sharpness = nn.Parameter(torch.full((n_outputs, 1), math.log(4.0)))
        self.scale = nn.Parameter(torch.full((n_outputs,), 2.0))
        self.shift = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, field):
        """Log thresholds."""
        drive = self.sites(field.flatten(1)).unflatten(1, (self.n_outputs, -1))
        sharpness = self.log_sharpness.exp()
        largest = torch.logsumexp(sharpness * drive, 2) / sharpness[:, 0]
        return self.shift - self.scale * torch.log(softplus(largest) + 1e-3)


class PaperCNN(nn.Module):
    """The sizes of the paper: four convolutions of kernel 2, two dense layers, batch norm.

    Parameters
    ----------
    size, n_outputs : int
        Of grids of less than 5 samples a side fewer convolutions are left.
    dropout : float
        Before each dense layer.
    """

    def __init__(self, size, n_outputs, dropout=0.0):
        super().__init__()
        filters = [3, *PAPER_FILTERS[: max(1, size - 1)]]
        layers = []
        for i, (before, after) in enumerate(pairwise(filters)):
            kernel = min(2, size - i)
            layers += [nn.Conv3d(before, after, kernel), nn.BatchNorm3d(after), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        width = filters[-1] * max(1, size - len(filters) + 1) ** 3
        self.dense = nn.Sequential(
            *(nn.Dropout(dropout), nn.Linear(width, 50), nn.ReLU()),
            *(nn.Dropout(dropout), nn.Linear(50, 37), nn.ReLU()),
            nn.Linear(37, n_outputs),
        )

    def forward(self, field):
        """Log thresholds."""
        return self.dense(self.convolutions(field.permute(0, 4, 1, 2, 3)).flatten(1))


MEMBERS = {"compact": CompactCNN, "sites": SiteNet, "paper": PaperCNN}


class ThresholdNet(nn.Module):
    """One or several networks and the weighted mean of their log thresholds.

    Parameters
    ----------
    size, n_outputs : int
    members : tuple of str
        Of `MEMBERS`, one network each.
    n_filters, n_units, dropout
        See `CompactCNN`.
    n_sites : int
        See `SiteNet`.
    rotate : bool
        Train on the field from four sides (quarter turns about z), answer with the mean of four.
    """

    def __init__(self, size, n_outputs, members, n_filters, n_units, n_sites, dropout, rotate):
        super().__init__()
        params = {
            "compact": {"n_filters": n_filters, "n_units": n_units, "dropout": dropout},
            "sites": {"n_sites": n_sites},
            "paper": {"dropout": dropout},
        }
        self.members = nn.ModuleList(MEMBERS[m](size, n_outputs, **params[m]) for m in members)
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members)))
        self.rotate = rotate

    def forward(self, field):
        """Log thresholds: in training (n, n_members, n_outputs), each learns for itself."""
        if self.training:
            return self.each(one_turn_each(field) if self.rotate else field)
        turns = range(4) if self.rotate else (0,)
        # Layers answer in bfloat16 under mixed precision, weights are not.
        logs = [self.each(turned(field, k)).to(self.weights.dtype) for k in turns]
        outputs = [torch.tensordot(self.weights, log, ([0], [1])) for log in logs]
        return sum(outputs) / len(turns)

    def each(self, field):
        """Log thresholds of each member, (n, n_members, n_outputs)."""
        return torch.stack([member(field) for member in self.members], 1)


def turned(field, k):
    """Fields (n, s, s, s, 3) turned by k quarter turns about z, from x to y."""
    if k == 0:
        return field
    x, y, z = torch.rot90(field, k, (1, 2)).unbind(-1)
    for _ in range(k):
        x, y = -y, x
    return torch.stack([x, y, z], -1)


def one_turn_each(field):
    """Each sample of a (shuffled) batch from one of four sides."""
    parts = [turned(field[k::4], k) for k in range(4)]
    result = torch.empty_like(field)
    for k, part in enumerate(parts):
        result[k::4] = part
    return result


class ThresholdLoss(nn.Module):
    """Smooth L1 or squared error over the thresholds that are not NaN, for all members alike.

    Parameters
    ----------
    kind : {"smooth_l1", "mse"}
    beta : float
        Where smooth L1 goes from squared to absolute, in standard deviations of log threshold.
    """

    def __init__(self, kind="smooth_l1", beta=0.1):
        super().__init__()
        self.kind, self.beta = kind, beta

    def forward(self, y_pred, y_true):
        """Mean over counted thresholds; 0 if none is."""
        if y_pred.ndim == 3:
            y_true = y_true[:, None].expand_as(y_pred)
        counted = ~torch.isnan(y_true)
        error = torch.where(counted, y_pred.to(y_true.dtype) - torch.nan_to_num(y_true), 0.0)
        if self.kind == "mse":
            losses = error.square()
        else:
            zero = torch.zeros_like(error)
            losses = smooth_l1_loss(error, zero, beta=self.beta, reduction="none")
        return losses.sum() / counted.sum().clamp(min=1)
