"""Where files are: folders and what is in them."""
