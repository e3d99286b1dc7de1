"""Activity that goes on with a spectrum of 1/f, which several simulations add."""

import numpy as np


def drift(rng, n_courses, n, slope=1.0):
    """Courses with a spectrum of 1/f^slope and variance 1, (n_courses, n)."""
    frequencies = np.fft.rfftfreq(n)
    frequencies[0] = frequencies[1]
    spectrum = np.fft.rfft(rng.normal(size=(n_courses, n))) * frequencies ** (-slope / 2)
    courses = np.fft.irfft(spectrum, n)
    return courses / courses.std()
