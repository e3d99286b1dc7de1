"""The commands of ``sklearn-meg``: one file each."""
