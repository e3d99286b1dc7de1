"""Parameters that nerve decoders share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._params import documented, param

if TYPE_CHECKING:
    from typing import Literal


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class WindowParams:
    """How signals are cut into windows, and which features are computed.

    Parameters
    ----------
    %(WindowParams)s
    """

    sfreq: float | None = param(
        None,
        "float or None",
        "Sampling frequency of X in Hz. None takes X for features, those of :class:`NerveFeatures` "
        "or others, (n_trials, n_features, n_windows) or (n_trials, n_features) for one window.",
    )
    window: float = param(0.1, "float", "Length of a window in seconds, where X is raw.")
    hop: float = param(0.02, "float", "Time from one window to the next in seconds.")
    features: Literal["all"] | list[str] | None = param(
        "all", '"all", list of str or None', "Features by name, see :class:`NerveFeatures`."
    )
    covariance: bool = param(True, "bool", "Whether to add log covariances of the channels.")


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class SessionParams:
    """Which session a trial belongs to, and how new sessions are adapted to.

    Parameters
    ----------
    %(SessionParams)s
    """

    session_row: int | None = param(
        None,
        "int or None",
        "Row of X that holds the session of a trial: a number, constant within the trial.",
    )
    adaptation: Literal["batch", "online"] | None = param(
        None,
        '{None, "batch", "online"}',
        "How to adapt to sessions not seen in fit, without labels. None disables adaptation. "
        '"batch" uses all trials of the session that X holds; "online" only those before, in the '
        "order of X.",
    )
    prior_trials: float = param(
        8.0,
        "float",
        "Weight of the training mean and scale, as an equivalent number of trials.",
    )


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class NetworkParams:
    """The recurrent network.

    Parameters
    ----------
    %(NetworkParams)s
    """

    network: Literal["compact", "paper"] = param(
        "compact",
        '{"compact", "paper"}',
        '"compact" is a dense layer, a causal convolution and a GRU of `hidden_size`; "paper" has '
        "the sizes of the paper, 1.6 million weights.",
    )
    hidden_size: int = param(128, "int", "Number of units of the compact network.")
    dropout: float = param(0.5, "float", "Dropout between layers.")
    augment: float = param(
        1.0,
        "float",
        "Standard deviation of a random offset of each feature in training, constant within a "
        "trial: what a new session might do.",
    )
    channel_dropout: float = param(
        0.0, "float", "Probability that a channel is lost in a training trial."
    )


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class HistoryParams:
    """How far regressors look back.

    Parameters
    ----------
    %(HistoryParams)s
    """

    history: int | Literal["auto"] = param(
        "auto",
        'int or "auto"',
        "Number of earlier windows whose features stand beside those of a window in linear "
        'regression and boosting. "auto" is 3, fewer where that makes more than 600 features.',
    )
