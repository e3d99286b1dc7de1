"""What is set for the time of a computation is put back, whatever happens inside."""

import subprocess
import sys

import pytest
import torch

from sklearn_meg._training.device import limited_threads, repeatable_sums


def settings():
    cudnn = torch.backends.cudnn
    parts = [cudnn.conv, cudnn.rnn] if hasattr(cudnn, "conv") else []
    return (
        cudnn.deterministic,
        cudnn.benchmark,
        [part.fp32_precision for part in parts],
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


@pytest.mark.parametrize("n_threads", [1, None])
def test_a_gpu_repeats_itself_inside_and_is_as_before_afterwards(n_threads):
    before = settings()
    seen = []

    def fail():
        with limited_threads(n_threads):
            seen.append(settings())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen[0][:2] == (True, False)
    assert set(seen[0][2]) <= {"ieee"}
    assert settings() == before


FRESH = """
import torch
from sklearn_meg._training.device import limited_threads

cudnn = torch.backends.cudnn
with limited_threads(1):
    assert cudnn.conv.fp32_precision == "ieee"
torch.backends.fp32_precision = "ieee"  # reaches cuDNN as if we had not been there
assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == ("ieee", "ieee")
torch.backends.fp32_precision = "tf32"
cudnn.rnn.fp32_precision = "tf32"
with limited_threads(1):
    assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == ("ieee", "ieee")
torch.backends.fp32_precision = "none"
cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = "ieee", "tf32"
with limited_threads(1):
    assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == ("ieee", "ieee")
assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == ("ieee", "tf32")
"""


def test_precision_is_the_users_before_and_after():
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("one setting for all of cuDNN before torch 2.9")
    # In a process of its own: other parts of torch leave settings behind.
    run = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_sums_are_repeatable_on_a_gpu_only():
    for device, inside in (("cuda", True), ("cpu", False)):
        with repeatable_sums(torch.device(device)):
            assert torch.are_deterministic_algorithms_enabled() is inside
        assert not torch.are_deterministic_algorithms_enabled()
