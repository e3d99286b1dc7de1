"""Side-by-side tables of source solvers."""
