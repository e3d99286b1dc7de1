"""The network of the deep recurrent encoder, in torch alone."""

from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}
SUBJECT_WEIGHTS = ("embedding.weight", "mixing")  # one row a subject; how their names end


class RecurrentEncoderNet(nn.Module):
    """Convolutions, a recurrent network and transposed convolutions over stimulus time courses.

    Chehab et al. 2021, section 2: the stimulus, the MEG of the initial window (zero after it), the
    mask of that window and an embedding of the subject run through ``n_convs`` convolutions of
    stride 2, a recurrent network at the reduced rate, and as many transposed convolutions.

    Ours: with ``residual`` it adds to the prediction of a linear encoder, which it also sees, and
    starts as exactly that encoder, its last layer being zero; ``skip_connections`` lead around
    the recurrent network and the inner convolutions, without which the zero start can leave it
    stuck; ``subject_mixing`` gives each subject a matrix from hidden units to channels.

    n_features, n_initial_rows, n_channels, n_subjects: Sizes of stimulus, initial MEG, output and
        subjects; one subject has no embedding.
    hidden_size, n_layers, cell: Recurrent network: units, layers, "lstm" or "gru".
    n_convs, kernel_size: Convolutions on either side, of even size; 0 works at the full rate.
    activation ({"gelu", "relu"})
    embedding_size: Embedding size of the subject; 0 for none.
    subject_share: Factor of all that belongs to one subject, embedding and mixing. Optimizers step
        equally far whatever the size of a gradient; so the smaller it is, the slower subjects
        part.
    forget_bias: Added to the bias of the forget gates of an LSTM at the start, so that it
        remembers from the first step on (Jozefowicz et al. 2015, ICML).
    n_networks: Networks alike whose mean is predicted; they start alike too, so give each its
        weights.
    """

    def __init__(
        self,
        n_features,
        n_initial_rows,
        n_channels,
        n_subjects,
        *,
        hidden_size,
        n_layers,
        cell,
        n_convs,
        kernel_size,
        activation,
        embedding_size,
        dropout,
        subject_mixing,
        skip_connections,
        residual,
        subject_share=1.0,
        forget_bias=0.0,
        n_networks=1,
    ):
        super().__init__()
        self.stride, self.residual, self.skip = 2**n_convs, residual, skip_connections
        self.activation, self.subject_share = ACTIVATIONS[activation], subject_share
        embedded = embedding_size if n_subjects > 1 else 0
        self.embedding = nn.Embedding(n_subjects, embedded) if embedded else None
        n_inputs = n_features + embedded
        n_inputs += n_initial_rows + 1 if n_initial_rows else 0
        n_inputs += n_channels if residual else 0
        widths = [n_inputs] + [hidden_size] * n_convs
        pad = (kernel_size - 2) // 2
        self.convs = nn.ModuleList(
            nn.Conv1d(n_in, n_out, kernel_size, 2, pad) for n_in, n_out in pairwise(widths)
        )
        around = skip_connections and not n_convs  # inputs have another width than hidden units
        self.around = nn.Conv1d(n_inputs, hidden_size, 1) if around else nn.Identity()
        between = dropout if n_layers > 1 else 0.0
        self.rnn = CELLS[cell](widths[-1], hidden_size, n_layers, batch_first=True, dropout=between)
        if forget_bias and cell == "lstm":
            _remember(self.rnn, forget_bias)
        self.dropout = nn.Dropout(dropout)
        self.deconvs = nn.ModuleList(
            nn.ConvTranspose1d(hidden_size, hidden_size, kernel_size, 2, pad)
            for _ in range(n_convs)
        )
        self.readout = nn.Conv1d(hidden_size, n_channels, 1)
        self.mixing = None
        if subject_mixing and n_subjects > 1:
            self.mixing = nn.Parameter(torch.zeros(n_subjects, n_channels, hidden_size))
        if residual:
            nn.init.zeros_(self.readout.weight)
            nn.init.zeros_(self.readout.bias)
        self.others = nn.ModuleList([deepcopy(self) for _ in range(n_networks - 1)])

    def forward(self, features, subject, initial=None, base=None, added=None):
        """Predict.

        features (n_trials, n_features, n_times)
        subject (n_trials, n_subjects): Weights over the known subjects: one-hot, or equal for an
            unknown one.
        initial (n_trials, n_initial_rows, n_initial), base (n_trials, n_channels, n_times)
        added (n_trials, n_channels, n_times) or None: Added to the prediction, and not shown to
            the networks.
        Returns y (n_trials, n_channels, n_times)
        """
        given = features, subject, initial, base
        networks = (self, *self.others)
        y = sum(network._predict_one(*given) for network in networks) / len(networks)
        return y if added is None else y + added

    def _predict_one(self, features, subject, initial, base):
        """Prediction of one network: the recurrent layers work at the lower rate."""
        n_times = features.shape[-1]
        hidden = self._inputs(features, subject, initial, base)
        hidden = F.pad(hidden, (0, -n_times % self.stride))
        stages = []
        for conv in self.convs:
            hidden = self.activation(conv(hidden))
            stages.append(hidden)
        past = self.dropout(self.rnn(hidden.mT)[0]).mT
        hidden = past + self.around(hidden) if self.skip else past
        for i, deconv in enumerate(self.deconvs, 1):
            hidden = self.activation(deconv(hidden))
            if self.skip and i < len(stages):
                hidden = hidden + stages[-1 - i]
        hidden = hidden[..., :n_times]
        out = self.readout(hidden)
        if self.mixing is not None:
            own = torch.einsum("ns,sch->nch", self.subject_share * subject, self.mixing)
            out = out + own @ hidden
        return out + base if self.residual else out

    @torch.no_grad()
    def shrink_residual(self, factor):
        """Multiply by `factor` all that is added to the linear encoder."""
        for network in (self, *self.others):
            for weight in (network.readout.weight, network.readout.bias, network.mixing):
                if self.residual and weight is not None:
                    weight.mul_(factor)

    def _inputs(self, features, subject, initial, base):
        n_times = features.shape[-1]
        parts = [features]
        if self.embedding is not None:
            embedded = self.subject_share * subject @ self.embedding.weight
            parts.append(embedded[..., None].expand(-1, -1, n_times))
        if initial is not None:
            mask = torch.ones_like(initial[:, :1])
            after = n_times - initial.shape[-1]
            parts.append(F.pad(torch.cat([initial, mask], 1), (0, after)))
        if self.residual:
            parts.append(base)
        return torch.cat(parts, 1)


@torch.no_grad()
def _remember(lstm, bias):
    """Open the forget gates, the second of four, of all layers."""
    for layer in range(lstm.num_layers):
        getattr(lstm, f"bias_ih_l{layer}")[lstm.hidden_size : 2 * lstm.hidden_size] += bias


def with_new_subjects(weights, n_new):
    """State of a network with `n_new` subjects more, each starting as the mean of the others."""
    grown = dict(weights)
    for name, known in weights.items():
        if name.endswith(SUBJECT_WEIGHTS):
            new = known.mean(dim=0, keepdim=True).expand(n_new, *known.shape[1:])
            grown[name] = torch.cat([known, new])
    return grown
