"""Tuned numbers of the connectome, each with the measurement that chose it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that the data cannot decide.

    Measured on seeds 0 and 1 of :func:`~sklearn_meg.datasets.make_phantom` and
    :func:`~sklearn_meg.datasets.make_fibers`; the benchmark reports others.

    windows (tuple of (int, int)): Radius in voxels and degree of the local polynomials, from the
        finest, for clean fields, to what averages most. On noise of 20 degrees the last is best,
        on none the first.
    most_tried: Vectors that choose among them.
    fewest_tried: Voxels; with fewer the finest window is taken, since all would hold nearly all of
        them.
    trimmed: Share of the left-out vectors that count, smallest errors first: spurious peaks fit
        nothing.
    worth_smoothing (tuple of float): Smoothing is done only if it leaves less than this share of
        the squared error, with one direction a voxel and with several, and a window other than the
        finest predicts best: in a brain-like field with 6 degrees of noise the finest does, and
        integral curves are as near to the true ones without smoothing. One direction a voxel is
        smoothed across bundles that cross: with shares of .36 to .42 (tensors of four worlds of
        bundles) geodesics are 1.26 to 2.09 voxels off the true lines with smoothing, 1.05 to 1.78
        without; in a brain-like field with 10 degrees of noise (.35) .61 and .47. Noisy annuli have
        .13 at most.
    cones (tuple of float): Widest and narrowest cone of a line (degrees), and its least width in
        standard deviations of the noise. With 60 instead of 25 degrees geodesics of the phantom
        reach the other end of their bundle in 3 cases of 27 instead of 16.
    anisotropies (tuple of float): Tried for the metric of the nearest fiber. Below 30 geodesics
        leave curved bundles. Starts along the field want much: in four brain-like fields (seeds 10
        and 12 to 14) the mean deviation was .19 voxels with 1e6 and .06 with 1e10. Starts off the
        field want less.
    finest: Voxels of a step of integration. In the same fields a quarter of the usual half voxel
        made the mean deviation .27 instead of .49, and .08 instead of .18 with ``follow=1``.
    n_usual: Vectors that tell how far directions usually are from those around them.
    random: Degrees between these, in the median, from which on directions look random: those of
        noise have 45 in two dimensions and 60 in three, lines with 20 degrees of noise 16 and 29.
    rough: Noise in degrees from which on smoothed directions are interpolated by quadratic
        splines. On the annulus with 20 degrees (seeds 0 and 1) the mean deviation is .90 and 1.02
        voxels with them, 1.06 and 1.06 without.
    tie: The largest anisotropy within this factor of the best, or within a standard error of their
        difference, is taken: more of it follows the field nearer where it starts along it. With the
        factor alone .80 instead of .90 of geodesics reached the other end of a bundle in a phantom
        without noise (seed 0), and arcs with 20 degrees of noise (seed 11) were 5.4 instead of 2.0
        voxels off.
    clearly: The spline metric is kept only if its deviation is less than this share of that of the
        metric of fibers. In a brain-like field, where both lose geodesics at borders of bundles, a
        tie (1.67 and 1.69) was 2.9 and 0.8 voxels in truth.
    averaged: Share of the noise that interpolation leaves where directions are not smoothed.
    taken: A start that is off the field by less than so many standard deviations of its direction
        is taken along it. In noisy worlds (seed 20) this made the mean deviation .49 instead of
        .82 voxels (annulus, 20 degrees), .14 instead of .26 (5 degrees), 2.8 instead of 4.8
        (braid).
    least: Degrees that a start may be off in any case: what interpolation between voxels misses.
        Without it one geodesic in 100 of a clean annulus is lost at the largest anisotropy.
    beyond: Voxels beyond the mask to which directions go on as in the nearest voxel: geodesics that
        leave at the border come back. Those that are lost anyway end elsewhere. Mean deviation with
        0, 1, 2 and 3 voxels: .39, .32, .30 and .30 (annulus, 10 degrees of noise, seeds 10 to 13),
        .90, .76, .70 and .67 (20 degrees), .074, .072, .074 and .078 (brain-like fields, seeds 20
        to 22).
    strong, astray: Anisotropy from which a start is taken along the field that is off it by so
        many degrees more than is in doubt; what is farther off is warned of. Without it geodesics
        from streamlines of a real bundle are 14.7 mm off, with it 1.5. On the annulus with 20
        degrees of noise (seed 0) it makes 1.42 voxels of .98: there, above `rough`, it is not
        done.
    off, trusted: Standard deviations that starts are off when stability is measured, where
        directions are smoothed and where not. With `off` 1 instead of 1.5 (arcs, 10 degrees) the
        anisotropy is too large for the true starts.
    clean: Smoothness of the spline metric for fields without noise.
    noisy, most: Beyond it grows with `noisy` times the squared noise (radians), up to `most`.
    lost: Steps from an integral curve beyond which a geodesic is lost, however far it goes.
    tube (tuple of (int, float)): Number of geodesics that stability is measured with, and their
        length in voxels.
    middle: Voxels from the border at which a way along fibers costs no more.
    floor: Amplitude added to that of fibers; 1 / floor is the dearest step along one.
    off_fiber: Cost of a step off the fibers, in dearest steps along one. Cheaper ones (1 instead
        of 3) lower the AUC of connected regions.
    sharpenings, context: Iterations that sharpen distributions, and how far each moves towards the
        amplitudes along the same direction, 0 to 1. On phantoms (seeds 21 and 22) fibers that
        cross at 30 to 40 degrees have a peak within 10 degrees in .8 of the voxels instead of .2,
        at 40 to 50 in .97 instead of .7; more iterations add false peaks.
    reach, along: Steps along a direction that are looked at, and the standard deviation of their
        weights.
    tiny, known: Share of the usual maximum that keeps quotients of sharpening finite; share of the
        weights of a side that must be in the mask for its amplitudes to count.
    single: Share of the voxels, those with the sharpest distributions, that tell the lobe of a
        fiber.
    sharp_width: Degrees from a direction at which sharpened amplitudes count 1 / e for a step
        along it. Steps cost by the geometric mean of these and of the distribution itself: the AUC
        of connected regions (phantoms of seeds 3, 4, 22 and of another kind) is .958, .953, .974
        and .984, of the distribution alone .947, .951, .970 and .977, of the sharpened one .940,
        .932, .978 and .986.
    lobe_reach, alone: Degrees from a peak that are its lobe; degrees to the next peak from which a
        lobe may be that of two fibers.
    elongated, flat: sqrt(wide^2 - narrow^2) over narrow, the widths of a lobe, from which it is
        that of two fibers if its kurtosis is less than `flat`. In simulated voxels of two fibers
        (12 worlds, SNR 12 and 20) the mean error of the nearest peak is 6.6 degrees instead of
        12.4 where they cross at 25 degrees, 4.4 instead of 11.4 at 30, 9.6 instead of 10.0 at 20;
        2 % of the voxels of one fiber get two peaks. Without `flat`, .13 of the lobes that are
        split in phantoms (seeds 30 and 31) are of two fibers, with it .47 (at 5.5 degrees), and
        fewer geodesics reach the other end. In a real volume a fixed angle splits 25 % of the
        voxels, this 8 %.
    drawn: Half the angle between two fibers over sqrt(wide^2 - narrow^2): 1.70, 1.78, 1.74 in
        those voxels where they cross at 20, 25 and 30 degrees; 1 without sharpening and noise.
    lobe, small_lobe: Share of the largest amplitude of a voxel from which a direction is a fiber,
        of peaks and of distributions.
    lobe_width: Degrees from a peak at which its amplitude is 1 / e.
    turn: Largest turn (degrees) from one step to the next. 45 instead of 35 lowers the AUC of
        connected regions from .975 to .94; with 28 and a `small_lobe` of .1 instead of .2 it is
        .973, .979 and .949 instead of .970, .970 and .929 on phantoms of seeds 21, 22 and 4.
    bend: Cost of a turn by 1 radian.
    corners (tuple of float): Voxels between the corners with which a way along fibers is tried,
        too. Without them points 6 voxels apart on a fiber of the braid were 3.7 times as far as
        their arc, with them 1.7.
    round, dear: A way so many times as long as the straight line, or as dear, may go round: others
        are tried.
    good_enough: Deviation in voxels below which the spline metric is not tried.
    way_anisotropy: Of the metric that ways between points are made shorter by. In six real bundles
        they were .75 mm from streamlines between the same ends in the mean with 100, .73 with 300
        and 1000, .85 with 30, and 1.43 without this. Bundles of the phantom differ by less than
        .04.
    single_anisotropy: The same where each voxel has one direction, of tensors that are averaged.
    noise_a_voxel, widest: Tensors are averaged with Gaussian weights, whose standard deviation in
        voxels is the noise of directions (degrees) over `noise_a_voxel`, at most `widest`. Ways in
        two real volumes (three seeds), three brain-like fields and nine real bundles are .37, .25
        and .28 voxels off; .43, .32 and .31 without averaging at an anisotropy of 30.
    aside (tuple of float): Voxels beside a point at which the curves of an agreement start: with
        both, its AUC of curves that go astray is .93 to .99 on four phantoms.
    border, side: Voxels that the border of the mask is smoothed by, and the cosine between a curve
        and the way out of the mask below which it leaves at a side (60 degrees).
    """

    windows: tuple = ((2, 3), (3, 3), (3, 2), (4, 2), (4, 1), (6, 1))
    most_tried: int = 600
    fewest_tried: int = 30
    trimmed: float = 0.9
    worth_smoothing: tuple = (0.3, 0.5)
    cones: tuple = (60.0, 25.0, 3.0)
    anisotropies: tuple = (30.0, 100.0, 300.0, 1000.0, 10_000.0, 1_000_000.0, 1e10)
    finest: float = 0.125
    n_usual: int = 1000
    random: float = 35.0
    rough: float = 10.0
    tie: float = 1.1
    clearly: float = 0.75
    averaged: float = 0.5
    taken: float = 3.0
    least: float = 0.5
    beyond: float = 3.0
    strong: float = 1000.0
    astray: float = 20.0
    off: float = 1.5
    trusted: float = 0.2
    clean: float = 1e-6
    noisy: float = 1e3
    most: float = 0.3
    lost: float = 6.0
    tube: tuple = (80, 40.0)
    middle: float = 2.0
    floor: float = 0.05
    off_fiber: float = 3.0
    sharpenings: int = 10
    context: float = 0.5
    reach: int = 3
    along: float = 1.5
    tiny: float = 1e-3
    known: float = 0.3
    single: float = 0.25
    sharp_width: float = 12.0
    lobe_reach: float = 25.0
    alone: float = 45.0
    elongated: float = 0.95
    flat: float = 2.4
    drawn: float = 1.75
    lobe: float = 0.2
    small_lobe: float = 0.1
    lobe_width: float = 20.0
    turn: float = 28.0
    bend: float = 0.5
    corners: tuple = (1.5, 3.0, 6.0)
    round: float = 1.5
    dear: float = 2.0
    good_enough: float = 0.05
    way_anisotropy: float = 500.0
    single_anisotropy: float = 100.0
    noise_a_voxel: float = 8.0
    widest: float = 0.75
    aside: tuple = (0.5, 1.0)
    border: float = 1.5
    side: float = 0.5


SETTINGS = Settings()
