"""Files of models, checkpoints and results that are whole or absent."""
