"""Pixels, on demand: frames decoded, volumes put together, pictures drawn.

Nothing of this room is imported by a build. What it needs beyond pydicom and numpy comes with the
extra `dicomhouse[pixels]`.
"""
