"""Names and files made to do harm: nothing runs, nothing is allocated, pages stay pages."""

import io
import pickle
import struct
from html.parser import HTMLParser

import mne
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from robustness.sbom import CONSTRAINTS, bill, components
from sklearn_meg import Study, TemporalReceptiveField
from sklearn_meg._checks.claims import check_claims, open_image
from sklearn_meg._saving.store import read_arrays
from sklearn_meg.commands.localize import _read
from sklearn_meg.commands.states import _read as read_states
from sklearn_meg.study import page
from sklearn_meg.study.sources import read_epochs, read_raw
from sklearn_meg.tms import load_tms_dataset, read_field

#: What a channel, a feature, a model, a subject or a folder may be called.
NAMES = (
    "<script>document.title = 'executed'</script>",
    "</title></style></script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "<!-- -->",
    "&lt;script&gt;",
    "{{7*7}} ${7*7} {0.__class__}",
    r"$\frac{$ %s%n \input{/etc/passwd}",
    "../../../etc/passwd",
    "\u202egpj.exe\u0000\x1b[31m",
)
SAFE = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "script",
        "body",
        "header",
        "nav",
        "main",
        "footer",
    ),
    *("h1", "h2", "a", "p", "div", "section", "pre", "code", "details", "summary", "button"),
    *("figure", "img", "figcaption", "table", "thead", "tbody", "tr", "th", "td"),
}


class Reader(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts = set(), [], []
        self.inside = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)


def is_harmless(text):
    found = Reader(text)
    assert found.tags <= SAFE
    assert found.scripts == [page.SCRIPT]
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "src") or value.startswith(("#", "data:image/png;base64,"))


def test_no_name_is_markup_in_the_report_of_a_study(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 2, 12)), rng.normal(size=(24, 3, 12))
    models = {name: TemporalReceptiveField() for name in NAMES[:3] + NAMES[9:10]}
    info = mne.create_info(list(NAMES[3:6]), 100.0, "mag", verbose="error")
    features = {NAMES[0]: [0], NAMES[9]: [1]}
    study = Study(models, cv=KFold(2), n_permutations=2)
    study.run(X, y, subjects=np.repeat(NAMES[6:8], 12), info=info, features=features)
    is_harmless(study.report(tmp_path / "report.html", NAMES[1]).read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_markup_on_a_page(name):
    from matplotlib.figure import Figure

    from sklearn_meg.plotting import style

    with style():
        drawn = Figure(figsize=(2, 2))
        shown = "".join(letter for letter in name if letter.isprintable())
        drawn.subplots().set(title=shown, xlabel=shown)
        image = page.figure(drawn, name, [(0, 0, 1, 1, name)])
    made = page.Page(name, [name])
    table = page.table(pd.DataFrame({name: [name, "b"], "x": [1.0, 2.0]}), {name: name})
    made.add(name, page.note(name), page.paste(name), table, page.fold(name, table), image)
    made.add(name, page.facts({name: page.escape(name)}))
    is_harmless(made.html())


# ---------------------------------------------------------------------- files


class Payload:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return exec, (f"open({self.mark!r}, 'w').close()",)


def objects_npz(path, mark):
    """Arrays of objects where a reader expects numbers."""
    held = np.array([Payload(mark)], dtype=object)
    np.savez(path, points=held, E=held, settings=held, X=held, y=held)


def pickled(path, mark):
    """A pickle with another ending."""
    path.write_bytes(pickle.dumps(Payload(mark)))


READERS = {
    "read_field": read_field,
    "load_tms_dataset": load_tms_dataset,
    "read_arrays": read_arrays,
    "states": lambda path: read_states(path, None),
}


@pytest.mark.parametrize("forge", [objects_npz, pickled], ids=lambda forge: forge.__name__)
@pytest.mark.parametrize("reader", READERS)
def test_pickled_objects_are_refused(tmp_path, reader, forge):
    path, mark = tmp_path / "data.npz", tmp_path / "executed"
    forge(path, mark)
    with pytest.raises(Exception, match=r"."):
        READERS[reader](path)
    assert not mark.exists()


def huge_npy(path):
    np.save(path, np.zeros(4))
    data = path.read_bytes().replace(b"(4,)", b"(4" + b"0" * 13 + b",)")
    start = data.index(b"{")
    header = data[start:].split(b"\n")[0].rstrip()
    path.write_bytes(data[:8] + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(32))


def huge_npz(path):
    import zipfile

    inner = path.with_suffix(".npy")
    huge_npy(inner)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "points.npy")


def huge_nii(path):
    nib = pytest.importorskip("nibabel")
    header = nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)).header
    header.set_data_shape((30000, 30000, 3000))
    stream = io.BytesIO()
    header.write_to(stream)
    path.write_bytes(stream.getvalue() + bytes(4 + 32))


def huge_fif(path):
    info = mne.create_info(2, 100.0, "mag", verbose="error")
    mne.io.RawArray(np.zeros((2, 200)), info, verbose="error").save(path, verbose="error")
    data, at = bytearray(path.read_bytes()), 0
    while True:  # the buffer of the signal claims two gigabytes
        kind, _, n_bytes, follows = struct.unpack(">iiii", data[at : at + 16])
        if kind == 300:
            data[at + 8 : at + 12] = struct.pack(">i", 2**31 - 1)
            break
        at = follows or at + 16 + n_bytes
    path.write_bytes(data)


CLAIMS = {".npy": huge_npy, ".npz": huge_npz, ".nii": huge_nii, ".fif": huge_fif}


def claim(folder, suffix):
    path = folder / f"claim_raw{suffix}"
    CLAIMS[suffix](path)
    return path


@pytest.mark.parametrize("suffix", CLAIMS)
def test_claims_are_refused_before_anything_is_allocated(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"claims .* bytes of data, more than a file"):
        check_claims(claim(tmp_path, suffix))


def test_readers_look_at_claims(tmp_path):
    npz, fif = claim(tmp_path, ".npz"), claim(tmp_path, ".fif")
    for reader in (read_arrays, load_tms_dataset, read_field):
        with pytest.raises(ValueError, match="claims"):
            reader(npz)
    for reader in (read_raw, read_epochs, lambda path: _read(mne.read_cov, path)):
        with pytest.raises(Exception, match="claims"):
            reader(fif)


def test_images_look_at_claims(tmp_path):
    from sklearn_meg.connectome import read_directions
    from sklearn_meg.dynamics import read_parcellated_bold

    path = claim(tmp_path, ".nii")
    for call in (
        lambda: read_directions(path),
        lambda: read_parcellated_bold([path], path),
    ):
        with pytest.raises(ValueError, match="claims"):
            call()


def test_honest_files_are_read(tmp_path):
    nib = pytest.importorskip("nibabel")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.normal(size=(50, 3)))
    np.savez(tmp_path / "a.npz", a=rng.normal(size=100), b=np.array("text"))
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(10**6))
    info = mne.create_info(3, 100.0, "mag", verbose="error")
    raw = mne.io.RawArray(rng.normal(size=(3, 3000)), info, verbose="error")
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    for suffix in (".nii", ".nii.gz"):
        zeros = nib.Nifti1Image(np.zeros((40, 40, 40), np.float32), np.eye(4))
        nib.save(zeros, tmp_path / f"a{suffix}")
        assert open_image(tmp_path / f"a{suffix}").shape == (40, 40, 40)
    for path in tmp_path.iterdir():
        check_claims(path)


def test_bill_of_materials_lists_every_pin():
    pins = [line for line in CONSTRAINTS.read_text("utf-8").splitlines() if "==" in line]
    parts = bill()["components"]
    assert len(parts) == len({part["purl"] for part in parts}) >= len(pins) - 1 > 50
    (own,) = components('Some_Package==1.2 ; python_version >= "3.11"')
    assert own["purl"] == "pkg:pypi/some-package@1.2"
    assert own["properties"][0]["value"] == 'python_version >= "3.11"'
