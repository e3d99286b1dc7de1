"""Networks from grids of field vectors to log thresholds: pure torch, no scikit-learn.

All take the field (n, s, s, s, 3), normalized, and return (n, n_outputs).
"""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import gelu, smooth_l1_loss, softplus

from .._training.batches import mean_of_counted
from ._physics import correction_outputs, physics_outputs

PAPER_FILTERS = (80, 60, 45, 33)


class CompactCNN(nn.Module):
    """Two 3-D convolutions and two dense layers.

    The first convolution has a kernel of 3 and cuts the grid into 3 x 3 x 3 patches, without
    overlap, where the size is a multiple of 3 (9, as usual); else its stride is 2.

    size: Samples along each side of the grid.
    n_filters (tuple of int): Number of filters of the two convolutions.
    n_units (tuple of int): Number of units of the dense layers.
    dropout: Before each dense layer.
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

    n_sites: Linear forms an output.
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

    size, n_outputs: Samples per side of the grid, and number of outputs. Fewer than 5 samples
        leave fewer convolutions.
    dropout: Before each dense layer.
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


class DriveNet(nn.Module):
    """Dense layers on how much each site is driven, relative to the one that is driven most.

    n_units (tuple of int): Sizes of the dense layers.
    dropout: Share of units switched off before each dense layer but the first.
    """

    def __init__(self, n_sites, n_outputs, n_units=(128, 64), dropout=0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        widths = [n_sites, *n_units]
        self.dense = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))
        self.out = nn.Linear(widths[-1], n_outputs)

    def forward(self, drives):
        """Log thresholds from relative drives (n, n_sites)."""
        x = 2 * drives - 1
        for k, layer in enumerate(self.dense):
            x = gelu(layer(self.dropout(x) if k else x))
        return self.out(x)


class SitePhysics(nn.Module):
    """Polarization of sites and the threshold that it makes: fitted before, fixed in training.

    n_looks, rank, n_sites, n_basis, n_numbers, n_outputs: Sizes of the arrays of
        :func:`._physics.fit_physics`.
    """

    def __init__(self, n_looks, rank, n_sites, n_basis, n_numbers, n_outputs):
        super().__init__()
        self.register_buffer("basis", torch.zeros(n_basis, n_numbers))
        self.register_buffer("courses", torch.zeros(n_looks, rank))
        self.register_buffer("forms", torch.zeros(rank, n_sites, n_basis))
        self.register_buffer("log_weights", torch.zeros(n_outputs, n_sites))
        self.register_buffer("level", torch.zeros(n_outputs))
        self.register_buffer("power", torch.tensor(2.0))

    def load(self, physics):
        """Take over the arrays of a fitted physics."""
        for name, buffer in self.named_buffers():
            buffer.copy_(torch.as_tensor(physics[name]))

    def forward(self, field):
        """Log thresholds (n, n_outputs) and relative drives (n, n_sites), in full precision."""
        with torch.autocast(field.device.type, enabled=False):
            flat = field.flatten(1).to(self.forms.dtype)
            return physics_outputs(flat, dict(self.named_buffers()))


class Correction(nn.Module):
    """A Gaussian process of what physics leaves, made after training."""

    def __init__(self, n_at, n_sites, n_outputs):
        super().__init__()
        self.register_buffer("at", torch.zeros(n_at, n_sites))
        self.register_buffer("alpha", torch.zeros(n_outputs, n_at))
        self.register_buffer("gamma", torch.tensor(1.0))

    load = SitePhysics.load

    def forward(self, drives):
        """Log thresholds, (n, n_outputs)."""
        with torch.autocast(drives.device.type, enabled=False):
            return correction_outputs(drives.to(self.at.dtype), dict(self.named_buffers()))


MEMBERS = {"compact": CompactCNN, "sites": SiteNet, "paper": PaperCNN}


class ThresholdNet(nn.Module):
    """One or several networks and the weighted mean of their log thresholds.

    With physics the networks (and a correction, if there is one) say what is to be added to its
    log threshold; they start at zero.

    members (tuple of str): "drives" or keys of `MEMBERS`, one network each.
    n_filters, n_units, dropout: See `CompactCNN`.
    n_sites: See `SiteNet`.
    rotate: Train on the field from four sides (quarter turns about z), answer with the mean of
        four.
    physics (tuple of int or None): Looks, rank, sites and patterns of `SitePhysics`.
    n_corrected: Samples in the correction; 0 for none.
    """

    def __init__(
        self, size, n_outputs, members, n_filters, n_units, n_sites, dropout, rotate,
        physics=None, n_corrected=0,
    ):  # fmt: skip
        super().__init__()
        params = {
            "compact": {"n_filters": n_filters, "n_units": n_units, "dropout": dropout},
            "sites": {"n_sites": n_sites},
            "paper": {"dropout": dropout},
        }
        self.sees_drives = [member == "drives" for member in members]
        self.members = nn.ModuleList(
            DriveNet(physics[2], n_outputs, n_units, dropout)
            if member == "drives"
            else MEMBERS[member](size, n_outputs, **params[member])
            for member in members
        )
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members)))
        self.rotate, self.physics, self.correction = rotate, None, None
        if physics is not None:
            self.physics = SitePhysics(*physics, 3 * size**3, n_outputs)
            for member in self.members:
                self._start_at_zero(member)
            self.register_buffer("correction_weight", torch.ones(()))
        if n_corrected:
            self.correction = Correction(n_corrected, physics[2], n_outputs)

    def forward(self, field):
        """Log thresholds (with physics: added to it), in training (n, n_members, n_outputs)."""
        if self.training:
            return self.each(one_turn_each(field) if self.rotate else field)
        return self._averaged(field, lambda turn: self.combined(turn)[0])

    def outputs(self, field):
        """What `forward` answers and the log threshold of physics, beside each other."""
        return self._averaged(field, lambda turn: torch.cat(self.combined(turn), 1))

    def combined(self, field):
        """Weighted mean of the members and the correction, and the log threshold of physics."""
        base, drives = (None, None) if self.physics is None else self.physics(field)
        log = self.each(field, drives).to(self.weights.dtype)
        log = torch.tensordot(self.weights, log, ([0], [1]))
        if self.correction is not None:
            log = log + self.correction_weight * self.correction(drives)
        return log, torch.zeros_like(log) if base is None else base

    def each(self, field, drives=None):
        """Log thresholds of each member, (n, n_members, n_outputs)."""
        if drives is None and any(self.sees_drives):
            drives = self.physics(field)[1]
        inputs = [drives if sees else field for sees in self.sees_drives]
        return torch.stack([m(x) for m, x in zip(self.members, inputs)], 1)

    def _averaged(self, field, answer):
        # Layers answer in bfloat16 under mixed precision, weights are not.
        turns = range(4) if self.rotate else (0,)
        return sum(answer(turned(field, k)) for k in turns) / len(turns)

    @staticmethod
    def _start_at_zero(member):
        last = [layer for layer in member.modules() if isinstance(layer, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)


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

    kind ({"smooth_l1", "mse"})
    beta: Point at which smooth L1 turns from squared to absolute, in standard deviations of log
        threshold.
    """

    def __init__(self, kind="smooth_l1", beta=0.1):
        super().__init__()
        self.kind, self.beta = kind, beta

    def forward(self, y_pred, y_true, weight=None):
        """Mean over counted thresholds, of weighted fields; 0 if none is."""
        if y_pred.ndim == 3:
            y_true = y_true[:, None].expand_as(y_pred)
        counted = ~torch.isnan(y_true)
        error = torch.where(counted, y_pred.to(y_true.dtype) - torch.nan_to_num(y_true), 0.0)
        if self.kind == "mse":
            losses = error.square()
        else:
            zero = torch.zeros_like(error)
            losses = smooth_l1_loss(error, zero, beta=self.beta, reduction="none")
        return mean_of_counted(losses, counted, weight)
