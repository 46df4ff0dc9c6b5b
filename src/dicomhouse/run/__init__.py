"""The steps of a run, as functions from values to values, and their order, once."""
