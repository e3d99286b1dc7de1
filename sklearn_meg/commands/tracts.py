"""``sklearn-meg tracts``: the metric of fiber directions, and its geodesics."""

import argparse
import gc
import warnings

import numpy as np

from .common import CommandError, add_out, existing, open_folder, positive
from .steps import Steps

EXAMPLE = """\
example:
  sklearn-meg tracts --directions peaks.nii.gz --order mrtrix --mask wm.nii.gz --seeds roi.nii.gz \\
      --out tracts
  sklearn-meg tracts --dwi dwi.nii.gz --bvals dwi.bval --bvecs dwi.bvec --mask wm.nii.gz \\
      --from left.nii.gz --to right.nii.gz --out tracts

Writes geodesics.trx and geodesics.tck (world coordinates, mm), metric.nii.gz (lower triangle of the
metric), and report.html. The fitted metric is kept in the folder: run the same command again after
an interruption.
"""
SAME_PLACE_MM = 1e-2


def add_parsers(commands):
    """Add ``tracts`` to the command line."""
    parser = commands.add_parser(
        "tracts",
        help="geodesics of fiber directions",
        description="Find the metric whose geodesics are fibers, and shoot or connect geodesics.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_tracts)
    add = parser.add_argument
    add("--directions", metavar="FILE", help="NIfTI of peaks (3 numbers each) or tensors")
    add(
        "--kind",
        choices=("peaks", "angles", "tensors"),
        default="peaks",
        help="default: %(default)s",
    )
    add(
        "--order", choices=("dipy", "fsl", "mrtrix"),
        help="software that wrote --directions (or --bvecs: default fsl); nothing in a file tells",
    )  # fmt: skip
    add("--dwi", metavar="FILE", help="diffusion images, with --bvals and --bvecs (needs dipy)")
    add("--bvals", metavar="FILE", help="b-values")
    add("--bvecs", metavar="FILE", help="gradient directions")
    add("--mask", metavar="FILE", help="NIfTI of the white matter")
    add(
        "--min-fa", type=float, default=0.2, metavar="FA", help="for tensors (default: %(default)s)"
    )
    add(
        "--seeds", metavar="FILE", help="NIfTI of voxels to shoot from (default: the mask, thinned)"
    )
    add("--from", dest="start", metavar="FILE", help="NIfTI of voxels that geodesics start from")
    add("--to", dest="end", metavar="FILE", help="NIfTI of voxels that they go to")
    add("--n", type=int, default=200, metavar="N", help="at most so many (default: %(default)s)")
    add("--length", type=positive, default=100.0, metavar="MM", help="default: %(default)s")
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add_out(parser, "sklearn-meg-tracts")


def run_tracts(arguments):
    """Do what ``sklearn-meg tracts`` was asked for; return the exit status."""
    from ..connectome import ConnectomeMetric

    X, affine = read_directions(arguments)
    wanted = _voxels(arguments, X, affine)
    out = open_folder(arguments.out)
    with Steps(out / "store", 1, arguments.quiet) as steps:
        model = steps.fit("metric", ConnectomeMetric(affine=affine), X)
    paths, lengths = _paths(model, X, affine, wanted, arguments)
    _write(model, paths, lengths, X, affine, steps.doubts, out, arguments)
    return 0


def read_directions(arguments):
    """Unit vectors (n_peaks, nx, ny, nz, 3) and the affine."""
    from .. import connectome

    if bool(arguments.directions) == bool(arguments.dwi):
        raise CommandError("name the directions by one of --directions and --dwi")
    for path in filter(None, (arguments.directions, arguments.dwi, arguments.mask)):
        existing(path)
    if arguments.directions:
        return connectome.read_directions(
            arguments.directions, arguments.kind, arguments.mask, min_fa=arguments.min_fa,
            order=arguments.order,
        )  # fmt: skip
    if not (arguments.bvals and arguments.bvecs):
        raise CommandError("--dwi needs --bvals and --bvecs")
    for path in filter(None, (arguments.bvals, arguments.bvecs)):
        existing(path)
    _check_gradients(arguments.bvals, arguments.bvecs)
    found = connectome.fit_tensor_directions(
        arguments.dwi, arguments.bvals, arguments.bvecs, arguments.mask, min_fa=arguments.min_fa,
        order=arguments.order,
    )  # fmt: skip
    return found[0], found[1]


def _check_gradients(bvals, bvecs):
    """Refuse text files of gradients that do not belong together."""
    found = []
    for path in (bvals, bvecs):
        try:
            found.append(np.loadtxt(path, ndmin=2))
        except ValueError as error:
            raise CommandError(f"{path} holds no table of numbers: {error}") from error
    n = found[0].size
    if 1 not in found[0].shape or found[1].shape not in ((3, n), (n, 3)):
        raise CommandError(
            f"{bvals} must hold one b value a volume and {bvecs} one direction (3 numbers) each, "
            f"got {found[0].shape} and {found[1].shape}"
        )


def _voxels(arguments, X, affine):
    """Voxels to shoot from, or pairs of voxels to connect."""
    if bool(arguments.start) != bool(arguments.end):
        raise CommandError("--from and --to go together")
    there = np.isfinite(X).all(axis=-1).any(axis=0)
    if arguments.start:
        return tuple(_region(path, there, affine) for path in (arguments.start, arguments.end))
    return (_region(arguments.seeds, there, affine) if arguments.seeds else np.argwhere(there),)


def _region(path, there, affine):
    from .._checks.claims import open_image

    image = open_image(existing(path))
    region = np.asarray(image.dataobj) > 0
    if region.shape[:3] != there.shape:
        raise CommandError(f"{path} has the shape {region.shape}, the directions {there.shape}")
    if not np.allclose(image.affine, affine, atol=SAME_PLACE_MM):
        raise CommandError(
            f"{path} has another affine than the directions: its voxels are elsewhere. Resample it "
            "to their grid first"
        )
    voxels = np.argwhere(region & there)
    if not len(voxels):
        raise CommandError(f"{path} has no voxel with a direction")
    return voxels


def _thinned(voxels, n, rng):
    return voxels[np.sort(rng.choice(len(voxels), n, replace=False))] if len(voxels) > n else voxels


def _paths(model, X, affine, wanted, arguments):
    """Geodesics in world coordinates, NaN after their ends; lengths where two ends are given."""
    rng = np.random.default_rng(arguments.seed)

    def world(voxels):
        return voxels @ affine[:3, :3].T + affine[:3, 3]

    if len(wanted) == 2:
        n = min(arguments.n, max(map(len, wanted)))
        starts, ends = (v[rng.integers(len(v), size=n)] for v in wanted)
        return model.connect(world(starts), world(ends))
    voxels = _thinned(wanted[0], max(1, arguments.n // 2), rng)
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    ways = np.nan_to_num(X[0][tuple(voxels.T)])
    kept = np.abs(ways).sum(axis=1) > 0
    ways, voxels = ways[kept] @ axes.T, voxels[kept]
    both = [model.shoot(world(voxels), sign * ways, arguments.length / 2) for sign in (-1, 1)]
    return np.concatenate([both[0][:, :0:-1], both[1]], axis=1), None


def _write(model, paths, lengths, X, affine, doubts, out, arguments):
    import nibabel as nib

    from ..study import page as html

    lines = [path[np.isfinite(path).all(axis=1)].astype(np.float32) for path in paths]
    lines = [line for line in lines if len(line) > 1]
    if not lines:
        raise CommandError("no geodesic has two points inside the mask")
    _save_lines(lines, X.shape[1:4], affine, out)
    metric = np.asarray(model.metric_, dtype=np.float32)
    lower = np.tril_indices(metric.shape[-1])
    nib.save(nib.Nifti1Image(metric[..., lower[0], lower[1]], affine), out / "metric.nii.gz")
    spans = np.array([np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines])
    page = html.Page(arguments.title or f"{len(lines)} geodesics")
    page.verdict = [*_verdict(spans, lengths), *doubts, *arguments.told]
    page.add("Geodesics", _figure(lines))
    page.add("What was run", html.facts(_facts(X, model, arguments)))
    page.save(out / "report.html")
    if not arguments.quiet:
        print(*page.verdict, sep="\n")
        print(f"Report: {out / 'report.html'}")


def _save_lines(lines, shape, affine, out):
    import nibabel as nib
    from nibabel.streamlines import Tractogram, save

    save(Tractogram(lines, affine_to_rasmm=np.eye(4)), str(out / "geodesics.tck"))
    try:
        from trx.trx_file_memmap import TrxFile
        from trx.trx_file_memmap import save as save_trx
    except ImportError:  # an extra
        return
    tractogram = Tractogram(lines, affine_to_rasmm=np.eye(4))
    grid = nib.Nifti1Image(np.zeros(shape, dtype=np.uint8), affine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # trx leaves its folder to the collector
        content = TrxFile.from_tractogram(tractogram, grid)
        save_trx(content, str(out / "geodesics.trx"))
        content.close()
        del content
        gc.collect()


def _verdict(spans, lengths):
    told = [
        f"{len(spans)} geodesics, {np.median(spans):.0f} mm long in the median "
        f"({spans.min():.0f} to {spans.max():.0f})."
    ]
    if lengths is not None:
        told.append(
            f"Geodesic distance, measured by the metric: {np.median(lengths):.1f} in the median "
            "(no unit; compare within this metric only)."
        )
    return told


def _figure(lines):
    from matplotlib.figure import Figure

    from .._figures import style
    from ..study import page as html

    with style():
        drawn = Figure(figsize=(11, 4), layout="constrained")
        for ax, (i, j) in zip(drawn.subplots(1, 3), ((0, 1), (0, 2), (1, 2))):
            for line in lines:
                way = np.abs(line[-1] - line[0])
                ax.plot(*line[:, [i, j]].T, color=way / max(way.max(), 1e-9), linewidth=0.7)
            ax.set(aspect="equal", xlabel=f"{'xyz'[i]} (mm)", ylabel=f"{'xyz'[j]} (mm)")
    return html.figure(drawn, "Geodesics in three planes; red goes along x, green y, blue z.")


def _facts(X, model, arguments):
    from html import escape

    from .._saving.store import versions

    n = int(np.isfinite(X).all(axis=-1).any(axis=0).sum())
    return {
        "Directions": f"{escape(str(arguments.directions or arguments.dwi))}: {n} voxels, up to "
        f"{len(X)} directions each",
        "Model": f"<code>{escape(' '.join(repr(model).split())[:300])}</code>",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions().items() if v),
    }
