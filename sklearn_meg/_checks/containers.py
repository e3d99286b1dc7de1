"""Arrays of other libraries to NumPy's."""

from __future__ import annotations

import sys

import numpy as np


def as_numpy(data):
    """Return a tensor, or an array of another library, as a NumPy array; anything else unchanged.

    data (torch.Tensor, array of any library that follows the array API, or anything)
    Returns data (ndarray, sharing memory where it can, or the object itself)
    Raises TypeError if another library's array cannot be brought to NumPy.
    """
    # Who has a tensor has imported torch; another thread may be at it.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    if tensor is not None and isinstance(data, tensor):
        data = data.detach().cpu()
        return (data.float() if str(data.dtype) == "torch.bfloat16" else data).numpy()
    if isinstance(data, np.ndarray | np.generic) or not hasattr(data, "__array_namespace__"):
        return data
    for convert in (np.from_dlpack, np.asarray):
        try:
            return convert(data)
        except (TypeError, ValueError, RuntimeError, BufferError, AttributeError):
            continue
    raise TypeError(
        f"Arrays on the CPU are expected. Got a {type(data).__module__}.{type(data).__name__} that "
        "NumPy cannot read: move it to the CPU, or convert it with its library's asnumpy. (A GPU "
        "is the estimator's device parameter; it takes NumPy arrays.)"
    )
