"""Where and how torch computes: device, threads, seeds, bit-for-bit repeatability."""

from contextlib import contextmanager, nullcontext

import torch

from .threads import LOCK, one_blas_thread


@contextmanager
def isolated(seed, n_threads, device):
    """Run with a given seed and number of threads; restore both afterwards."""
    on_gpu = device.type == "cuda"
    gpus = [torch.cuda.current_device() if device.index is None else device.index] if on_gpu else []
    with LOCK, torch.random.fork_rng(devices=gpus), limited_threads(n_threads):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        with _seeded_apple(seed) if device.type == "mps" else nullcontext():
            yield


@contextmanager
def _seeded_apple(seed):
    """Seed the generator of Apple's GPU, and put it back."""
    before = torch.mps.get_rng_state()
    try:
        torch.mps.manual_seed(seed)
        yield
    finally:
        torch.mps.set_rng_state(before)


@contextmanager
def limited_threads(n_threads):
    """Use `n_threads` CPU threads of torch (and one of BLAS), and repeatable GPU kernels.

    None leaves the threads as they are.
    """
    with LOCK, repeatable_gpu():
        if n_threads is None:
            yield
            return
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            with one_blas_thread():
                yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def repeatable_gpu():
    """Make convolutions and recurrent layers of cuDNN repeatable, in single precision."""
    cudnn, before = torch.backends.cudnn, []

    def put(owner, name, value):
        before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    try:
        put(cudnn, "deterministic", True)
        put(cudnn, "benchmark", False)
        if not hasattr(cudnn, "conv"):  # before torch 2.9
            put(cudnn, "allow_tf32", False)
        elif "tf32" in (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision):
            put(cudnn, "fp32_precision", "ieee")
            if before[-1][2] == torch.backends.fp32_precision:  # inherited: so it shall stay
                before[-1] = (cudnn, "fp32_precision", "none")
            for part in (cudnn.conv, cudnn.rnn):
                if part.fp32_precision == "tf32":  # has a setting of its own
                    put(part, "fp32_precision", "ieee")
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


@contextmanager
def repeatable_sums(device):
    """Sum in a fixed order on a GPU: slower, for operations outside cuDNN."""
    if device.type != "cuda":
        yield
        return
    with LOCK:
        before = torch.are_deterministic_algorithms_enabled()
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warn_only)


def resolve_device(device, missing="raise", dtype="float32"):
    """Return the torch device of a ``device`` parameter.

    "auto" is a GPU where there is one that computes in `dtype`, else the CPU: that of Apple has no
    float64.

    Raises ValueError if there is no such device (with ``missing="cpu"`` the CPU is used instead).
    """
    if isinstance(device, str) and device == "auto":
        return torch.device(_best_device(dtype))
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


def _best_device(dtype):
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if dtype == "float32" and torch.backends.mps.is_available() else "cpu"
