"""Side-by-side tables of metrics of white matter."""
