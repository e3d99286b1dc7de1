"""Side-by-side tables of activation thresholds."""
