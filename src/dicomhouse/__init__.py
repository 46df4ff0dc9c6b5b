"""dicomhouse: folders of DICOM files in, a tested warehouse of their tags out."""

__version__ = "0.1.0"
