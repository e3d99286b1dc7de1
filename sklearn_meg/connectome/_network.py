"""A dense convolutional network from fields to the coefficients of a metric: pure torch."""

import torch
from torch import nn
from torch.nn.functional import interpolate, pad, relu

from ._geometry import geodesic_residual, n_parameters

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
GAIN = 100.0  # residuals are small numbers; the optimizer likes them about one


class DenseBlock(nn.Module):
    """Convolutions that each see the outputs of all before."""

    def __init__(self, dim, width, growth, n_layers):
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(dim, width + i * growth, growth, 3) for i in range(n_layers)
        )
        self.width = width + n_layers * growth

    def forward(self, x):
        """All outputs, (1, width, *grid)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


class Layer(nn.Module):
    """Normalization, rectifier, convolution: a batch is one brain, so groups are normalized."""

    def __init__(self, dim, before, after, kernel, stride=1):
        super().__init__()
        groups = max(k for k in (8, 4, 2, 1) if before % k == 0)
        self.norm = nn.GroupNorm(groups, before)
        self.conv = CONV[dim](before, after, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x):
        """(1, after, *grid)."""
        return self.conv(relu(self.norm(x)))


class MetricNet(nn.Module):
    """Encoder, dense block and decoder: from products of field components to a metric.

    Fields come as products v_i v_j, which have no sign. The first convolution has a kernel of 7 and
    a stride of 2, so that the lattice of knots (two voxels apart) is where its outputs are; between
    encoder and decoder the grid is halved once more. The answer is the sum of one on the lattice
    and one, smooth, on the coarser grid. It is zero at the start: the Euclidean metric.

    n_channels: Products of all fields, and where they are.
    bases (tuple of nested tuples of float): For each axis the values of the splines at the voxels,
        and their derivatives.
    n_features: After the first convolution.
    growth: Growth of each layer of the dense blocks.
    n_layers (tuple of int): Layers of the three dense blocks.
    """

    def __init__(self, n_channels, dim, bases, n_features, growth, n_layers, smoothness):
        super().__init__()
        self.dim, self.smoothness = dim, smoothness
        for axis, (value, slope) in enumerate(bases):
            self.register_buffer(f"value{axis}", torch.tensor(value), persistent=False)
            self.register_buffer(f"slope{axis}", torch.tensor(slope), persistent=False)
        self.knots = tuple(len(value[0]) for value, _ in bases)
        self.first = CONV[dim](n_channels, n_features, 7, stride=2, padding=3)
        self.encode = DenseBlock(dim, n_features, growth, n_layers[0])
        self.down = Layer(dim, self.encode.width, self.encode.width // 2, 3, stride=2)
        self.middle = DenseBlock(dim, self.encode.width // 2, growth, n_layers[1])
        self.up = Layer(dim, self.middle.width, self.middle.width // 2, 3)
        width = self.middle.width // 2 + self.encode.width
        self.decode = DenseBlock(dim, width, growth, n_layers[2])
        self.out = Layer(dim, self.decode.width, n_parameters(dim), 3)
        self.coarse = Layer(dim, self.middle.width, n_parameters(dim), 3)
        for layer in (self.out, self.coarse):
            nn.init.zeros_(layer.conv.weight)
            nn.init.zeros_(layer.conv.bias)

    def coefficients(self, field):
        """Spline coefficients (n_parameters, *lattice) of fields (1, n_channels, *grid)."""
        early = self.encode(self.first(field))
        middle = self.middle(self.down(early))
        late = interpolate(self.up(middle), size=early.shape[2:], mode="nearest")
        mode = "bilinear" if self.dim == 2 else "trilinear"
        coarse = interpolate(self.coarse(middle), size=early.shape[2:], mode=mode)
        coef = coarse + self.out(self.decode(torch.cat([late, early], dim=1)))
        # A knot before the grid and those after its end are copies of the outermost.
        missing = [n - k for n, k in zip(self.knots, coef.shape[2:])]
        sides = [side for m in reversed(missing) for side in (1, m - 1)]
        return pad(coef, sides, mode="replicate")[0]

    def forward(self, field, index, direction, acceleration, weight):
        """Weighted residuals of all lines and roughness, one row."""
        coef = self.coefficients(field)
        outputs = [self.splines(coef, None), *(self.splines(coef, k) for k in range(self.dim))]
        theta, *slopes = (part.flatten(1)[:, index[0]] for part in outputs)
        r = geodesic_residual(theta, torch.stack(slopes), direction[0].T, acceleration[0].T)
        r = r * (weight[0] / r.shape[1]).sqrt()
        rough = [second_difference(coef, k).flatten() for k in range(1, self.dim + 1)]
        rough = torch.cat(rough) * (self.smoothness / coef[0].numel() / 16) ** 0.5
        found = GAIN * torch.cat([r.flatten(), rough])
        return found[None] * len(found) ** 0.5  # the loss is a mean, ours a sum

    def splines(self, coef, derivative):
        """Values at the voxels, or derivatives along one axis, (n_parameters, *grid)."""
        for axis in range(self.dim):
            name = "slope" if axis == derivative else "value"
            coef = torch.tensordot(coef, getattr(self, f"{name}{axis}").to(coef.dtype), ([1], [1]))
        return coef


def second_difference(coef, axis):
    """Second differences along an axis."""
    n = coef.shape[axis] - 2
    return coef.narrow(axis, 0, n) - 2 * coef.narrow(axis, 1, n) + coef.narrow(axis, 2, n)
