"""Bytes in, elements out: opens no file, reads no setting, knows no path."""

import dicomhouse.without_decoders  # noqa: F401
