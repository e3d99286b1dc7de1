"""The package as a whole."""

import subprocess
import sys

import pytest

import sklearn_meg


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_loads_neither_torch_nor_mne():
    heavy = "('torch', 'mne', 'skorch')"
    code = f"import sys, sklearn_meg; print([m for m in {heavy} if m in sys.modules])"
    assert run(code) == "[]"


def test_import_is_light():
    # What a plain `import sklearn_meg` may load: the standard library, lazy_loader and itself.
    code = (
        "import sys; before = set(sys.modules); import sklearn_meg;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names) - {'sklearn_meg', 'lazy_loader'}))"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("name", sklearn_meg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(sklearn_meg, name) is not None
    assert name in dir(sklearn_meg)


def test_unknown_name():
    with pytest.raises(AttributeError, match="No sklearn_meg attribute DeepEncoder"):
        _ = sklearn_meg.DeepEncoder
