"""Process-wide state: threads of BLAS and OpenMP, NumPy's global generator."""

import threading
from contextlib import contextmanager
from functools import cache

import numpy as np
import scipy.linalg  # noqa: F401  (both BLAS must be loaded before the controller looks)
from threadpoolctl import ThreadpoolController, threadpool_limits

# Seeding, the threads of torch and those of OpenMP belong to the process, fits to the threads of
# joblib's threading backend: one at a time, so that each sees only its own.
LOCK = threading.RLock()
_lock = threading.Lock()
_limited = {"users": 0, "limit": None}


@cache
def _controller():
    return ThreadpoolController()


@contextmanager
def one_blas_thread():
    """Use one BLAS thread, so that results do not depend on the machine's setting.

    The limit belongs to the process, so the last of several threads inside lifts it.
    """
    with _lock:
        if not _limited["users"]:
            _limited["limit"] = _controller().limit(limits=1, user_api="blas")
            _limited["limit"].__enter__()
        _limited["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _limited["users"] -= 1
            if not _limited["users"]:
                _limited["limit"].__exit__(None, None, None)
                _limited["limit"] = None


@contextmanager
def one_thread():
    """Use one thread of BLAS and of OpenMP: k-means sums in the order of its threads."""
    with LOCK, one_blas_thread(), threadpool_limits(1, user_api="openmp"):
        yield


@contextmanager
def global_generator_kept():
    """Restore NumPy's global generator, from which some libraries draw."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
