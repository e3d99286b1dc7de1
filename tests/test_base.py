"""Training, inference and persistence of TorchEstimator, seen through DeepRecurrentEncoder."""

import pickle
import threading

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold
from skorch.callbacks import Callback

from sklearn_meg import DeepRecurrentEncoder, RecurrentTRF, base
from sklearn_meg._training import batches


@pytest.fixture
def data(packed):
    return packed[0], packed[1], packed[2]


# One network, judged on a fifth of the trials.
SMALL = {"max_epochs": 3, "hidden_size": 8, "validation_fraction": 0.2, "random_state": 0}


def encoder(rows, **params):
    return DeepRecurrentEncoder(**{**rows, **SMALL, **params})


class Recorder(Callback):
    """Keeps what happens in each epoch."""

    def __init__(self):
        self.rates, self.norms = [], []

    def on_batch_end(self, net, training, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])

    def on_grad_computed(self, net, named_parameters, **kwargs):
        grads = [p.grad.norm() for _, p in named_parameters if p.grad is not None]
        self.norms.append(float(torch.stack(grads).norm()))


class Spoil(Callback):
    """Makes the weights infinite in some epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(torch.inf)


class Interrupt(Callback):
    """What Ctrl-C does."""

    def on_batch_begin(self, net, **kwargs):
        raise KeyboardInterrupt


def weights(model):
    return {k: v.clone() for k, v in model.net_.module_.state_dict().items()}


def test_history_has_the_losses_of_every_epoch(data):
    X, y, rows = data
    model = encoder(rows).fit(X, y)
    assert [epoch["epoch"] for epoch in model.history_] == [1, 2, 3]
    assert all(np.isfinite([e["train_loss"], e["valid_loss"]]).all() for e in model.history_)


def test_best_epoch_is_restored(data):
    X, y, rows = data
    y = np.random.default_rng(0).normal(size=y.shape)  # all that can be learned is by heart
    net = {"base": None, "hidden_size": 64, "dropout": 0.0, "weight_decay": 0.0}
    model = encoder(rows, **net, lr=0.02, schedule=None, max_epochs=30).fit(X, y)
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert np.argmin(losses) < len(losses) - 1  # otherwise this test says nothing
    _, valid = model._inner_split(X, y, None, np.random.RandomState(0).randint(2**31 - 1))
    out = torch.from_numpy(model._forward(X[valid]))
    loss = base.MaskedMSELoss()(out, model._targets(X[valid], y[valid]))
    assert float(loss) == pytest.approx(min(losses), rel=1e-4)


def test_a_start_that_is_best_is_kept(data):
    X, y, rows = data
    linear = RecurrentTRF(**rows)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=y.shape)  # nothing to learn
    model = encoder(rows, lr=0.1, schedule=None, random_state=1).fit(X, noise)
    linear.fit(X, noise)
    after = (..., slice(rows["n_initial"], None))
    np.testing.assert_allclose(
        model.predict(X)[after], linear.predict(X)[after], rtol=1e-4, atol=1e-5
    )


def test_patience_stops(data):
    X, y, rows = data
    model = encoder(rows, base=None, lr=1.0, schedule=None, max_epochs=50, patience=2).fit(X, y)
    assert model.n_iter_ < 50


def test_schedule_and_clipping_reach_the_optimizer(data):
    X, y, rows = data
    seen = Recorder()
    encoder(rows, lr=0.01, batch_size=8, clip_norm=1e-3, callbacks=[seen]).fit(X, y)
    assert max(seen.rates) == pytest.approx(0.01, rel=0.3)
    assert seen.rates[-1] < seen.rates[0] < max(seen.rates)
    assert max(seen.norms) <= 1e-3 * 1.01


def test_net_params_reach_skorch(data):
    X, y, rows = data
    params = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5}
    model = encoder(rows, net_params=params, weight_decay=0.0).fit(X, y)
    assert isinstance(model.net_.optimizer_, torch.optim.SGD)


def test_verbose_shows_one_progress_bar(data, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # a narrow terminal shows less
    monkeypatch.setenv("LINES", "40")
    X, y, rows = data
    encoder(rows, verbose=1).fit(X, y)
    shown = capsys.readouterr().err
    assert "3/3" in shown and "valid_loss" in shown
    encoder(rows).fit(X, y)
    assert capsys.readouterr() == ("", "")


def test_warm_start_goes_on_and_refit_forgets(data):
    X, y, rows = data
    model = encoder(rows, warm_start=True, validation_fraction=0.0).fit(X, y)
    once = model.predict(X)
    model.fit(X, y)
    assert model.n_iter_ == 6
    assert not np.array_equal(model.predict(X), once)
    model.set_params(warm_start=False).fit(X, y)
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(model.predict(X), once)


def test_partial_fit_goes_on_after_a_round_trip_as_without(data):
    X, y, rows = data
    model = encoder(rows, validation_fraction=0.0).fit(X, y)
    copy = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    np.testing.assert_array_equal(copy.predict(X), model.partial_fit(X, y).predict(X))


def test_warm_start_refuses_another_network_or_shape(data):
    X, y, rows = data
    model = encoder(rows, warm_start=True).fit(X, y)
    expected = model.predict(X)
    with pytest.raises(ValueError, match="hidden_size"):
        model.set_params(hidden_size=5).fit(X, y)
    model.set_params(hidden_size=8)
    with pytest.raises(ValueError, match="3 channels.*4"):
        model.fit(X, y[:, :3])
    with pytest.raises(ValueError, match="39 samples.*40"):
        model.fit(X[:, :, 1:], y[:, :, 1:])
    np.testing.assert_array_equal(model.predict(X), expected)


def test_non_finite_loss_names_the_epoch_and_spares_earlier_weights(data):
    X, y, rows = data
    model = encoder(rows, warm_start=True).fit(X, y)
    expected = model.predict(X)
    model.set_params(callbacks=[Spoil(2)])
    with pytest.raises(base.NonFiniteLossError, match="epoch 2 of 3.*smaller lr"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_a_failed_refit_leaves_no_half_new_model(data):
    X, y, rows = data
    model = encoder(rows).fit(X, y)
    before = model.predict(X)
    with pytest.raises(base.NonFiniteLossError):
        model.set_params(callbacks=[Spoil(1)]).fit(X, 2 * y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_ctrl_c_is_not_swallowed(data):
    X, y, rows = data
    with pytest.raises(KeyboardInterrupt):
        encoder(rows, callbacks=[Interrupt()]).fit(X, y)


def test_inner_split_respects_groups_order_and_splitters(packed):
    X, y, rows, subjects = packed
    model = encoder(rows, validation_fraction=0.3)
    train, valid = model._inner_split(X, y, subjects, 0)
    assert not set(subjects[train]) & set(subjects[valid])
    train, valid = encoder(rows, validation_split="last", validation_fraction=0.1)._inner_split(
        X, y, None, 0
    )
    assert train.max() < valid.min() and len(valid) == 6
    cv = GroupKFold(3)
    train, valid = encoder(rows, validation_split=cv)._inner_split(X, y, subjects, 0)
    assert len(set(subjects[valid])) == 1
    train, valid = encoder(rows, validation_fraction=0.0)._inner_split(X, y, None, 0)
    assert len(train) == len(X) and len(valid) == 0
    encoder(rows, validation_fraction=0.3).fit(X, y, groups=subjects)


def test_trials_of_one_group_are_held_out_as_if_there_were_none(packed):
    X, y, rows, _ = packed
    with pytest.warns(UserWarning, match="All trials are of one group"):
        one = encoder(rows).fit(X, y, groups=np.zeros(len(X)))
    np.testing.assert_array_equal(one.predict(X), encoder(rows).fit(X, y).predict(X))


@pytest.mark.parametrize("groups", [[1], np.zeros((60, 2)), [[1]] * 3])
@pytest.mark.parametrize("split", ["random", "last"])
def test_groups_that_do_not_belong_to_the_trials(packed, groups, split):
    X, y, rows, _ = packed
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples|1d array"):
        encoder(rows, validation_split=split).fit(X, y, groups=groups)


def test_score_before_fit(packed):
    X, y, rows, _ = packed
    with pytest.raises(NotFittedError):
        encoder(rows).score(X, y)


def test_threads_see_only_their_own_seed(data):
    X, y, rows = data
    expected = encoder(rows, dropout=0.3).fit(X, y).predict(X)
    results = {}

    def work(i):
        results[i] = encoder(rows, dropout=0.3).fit(X, y).predict(X)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for result in results.values():
        np.testing.assert_array_equal(result, expected)


def test_float64(data):
    X, y, rows = data
    model = encoder(rows, dtype="float64").fit(X, y)
    assert {v.dtype for v in weights(model).values()} == {torch.float64}
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_mixed_precision_is_close_to_full(data):
    X, y, rows = data
    full = encoder(rows, base=None, max_epochs=10).fit(X, y)
    mixed = encoder(rows, base=None, max_epochs=10, dtype="bfloat16").fit(X, y)
    assert {v.dtype for v in weights(mixed).values()} == {torch.float32}
    predicted = mixed.predict(X)
    np.testing.assert_allclose(predicted, full.predict(X), atol=0.3)
    assert not np.array_equal(predicted, full.predict(X))
    again = pickle.loads(pickle.dumps(mixed))
    np.testing.assert_array_equal(again.predict(X), predicted)


def test_state_holds_no_torch_object(data):
    X, y, rows = data
    state = encoder(rows).fit(X, y).__getstate__()
    assert b"torch" not in pickle.dumps(state)


def test_fitted_on_a_device_that_is_not_here(data):
    X, y, rows = data
    model = encoder(rows).fit(X, y)
    state = model.__getstate__()
    state["device_"] = "cuda:7"
    again = DeepRecurrentEncoder.__new__(DeepRecurrentEncoder)
    again.__setstate__(state)
    assert again.device_ == "cpu"
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_gives_the_same_as_the_cpu(data):
    X, y, rows = data
    on_gpu = encoder(rows, device="cuda").fit(X, y)
    on_cpu = encoder(rows, device="cpu").fit(X, y)
    np.testing.assert_allclose(on_gpu.predict(X), on_cpu.predict(X), rtol=1e-2, atol=1e-3)


BAD_PARAMS = [
    ({"lr": -1}, ValueError, r"'lr' .* in the range \(0, inf\). Got -1 instead"),
    ({"lr": "fast"}, TypeError, "'lr'.*'fast'"),
    ({"lr": float("nan")}, ValueError, "'lr'.*nan"),
    ({"max_epochs": 0}, ValueError, "'max_epochs'"),
    ({"max_epochs": 2.5}, TypeError, "'max_epochs'.*an int"),
    ({"batch_size": 0}, ValueError, "'batch_size'"),
    ({"patience": 0}, ValueError, "'patience'.*or None"),
    ({"clip_norm": 0}, ValueError, "'clip_norm'"),
    ({"weight_decay": -1}, ValueError, "'weight_decay'"),
    ({"validation_fraction": 1.0}, ValueError, "'validation_fraction'"),
    ({"validation_split": "first"}, ValueError, "'validation_split'.*'last'"),
    ({"schedule": "linear"}, ValueError, "'schedule'.*'onecycle'"),
    ({"dtype": "float16"}, ValueError, "'dtype'"),
    ({"n_threads": 0}, ValueError, "'n_threads'"),
    ({"device": "gpu9"}, ValueError, "'device'.*gpu9"),
    ({"hidden_size": 0}, ValueError, "'hidden_size'"),
    ({"n_layers": 0}, ValueError, "'n_layers'"),
    ({"kernel_size": 3}, ValueError, "'kernel_size'.*even"),
    ({"cell": "rnn"}, ValueError, "'cell'.*'gru'"),
    ({"base": "ridge"}, ValueError, "'base'.*'rtrf'"),
    ({"base_params": {"n_passed": 3}}, ValueError, "'base_params'.*n_past.*Got n_passed"),
    ({"base_params": [1]}, ValueError, "'base_params'.*a dict"),
    ({"callbacks": "EarlyStopping"}, TypeError, "callbacks must be a list"),
    ({"net_params": [1]}, TypeError, "net_params must be a dict"),
    ({"skip_connections": "no"}, TypeError, "'skip_connections'.*a bool"),
    ({"warm_start": "no"}, TypeError, "'warm_start'.*a bool"),
    ({"dropout": 1.0}, ValueError, "'dropout'"),
    ({"embedding_size": -1}, ValueError, "'embedding_size'"),
    ({"unknown_subject": "ignore"}, ValueError, "'unknown_subject'"),
]


@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMS)
def test_bad_parameters_are_named(data, params, error, message):
    X, y, rows = data
    with pytest.raises(error, match=message):
        encoder(rows, **params).fit(X, y)


def test_long_trials_train_in_parts_as_in_one(data, monkeypatch):
    X, y, rows = data
    plain = {"base": None, "dropout": 0.0, "dtype": "float64"}
    whole = encoder(rows, **plain).fit(X, y).predict(X)
    monkeypatch.setattr(batches, "MOST_SAMPLES", 5 * X.shape[2])
    np.testing.assert_allclose(encoder(rows, **plain).fit(X, y).predict(X), whole, rtol=1e-6)
