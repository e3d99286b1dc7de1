"""Where torch computes: device, threads, generators; all left as they were found."""

from contextlib import contextmanager

import torch

from ._threads import LOCK, one_blas_thread


@contextmanager
def isolated(seed, n_threads, device):
    """Run with a seed and a number of threads of our own, leaving no trace of either."""
    on_gpu = device.type == "cuda"
    gpus = [torch.cuda.current_device() if device.index is None else device.index] if on_gpu else []
    with LOCK, torch.random.fork_rng(devices=gpus), limited_threads(n_threads):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        yield


@contextmanager
def limited_threads(n_threads):
    """Use `n_threads` CPU threads of torch inside (and one of BLAS); None changes nothing."""
    if n_threads is None:
        yield
        return
    with LOCK, one_blas_thread():
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def resolve_device(device, missing="raise"):
    """The torch device of a ``device`` parameter.

    Raises
    ------
    ValueError
        If there is no such device (with ``missing="cpu"`` the CPU is used instead).
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        if missing == "cpu":
            return torch.device("cpu")
        raise ValueError(
            f"The 'device' parameter must be 'auto' or a torch device that this machine has, for "
            f"example 'cpu'. Got {device!r} instead."
        ) from error
    return resolved
