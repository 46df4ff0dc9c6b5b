"""What happens to parts: generations, what is to be done to them, the jobs that do it."""
