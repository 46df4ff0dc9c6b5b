"""Where files are: folders, archives, lists, stores; which files there are, and their bytes."""
