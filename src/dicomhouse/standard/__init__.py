"""The DICOM standard as data: its dictionary, and what each kind of object must hold."""

from pathlib import Path

TABLES = Path(__file__).parent / "tables"
