"""How networks are trained: callbacks, mini-batches, devices, threads."""
