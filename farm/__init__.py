"""Many machines: photos sent to a Dask cluster, and what runs there. Nothing imports this package but the command lines."""
