"""Import pydicom without the decoders of pixels that it imports by itself where they are installed.

A build looks at no pixel, and need not wait for them or depend on them. In a process that has
imported this, pydicom has no decoder but its own; `dicomhouse.pixels` decodes in others. Nor is
loaded what pydicom would fetch its examples with, which takes up to a tenth of a second.
"""

import sys

_DECODERS = ("PIL", "gdcm", "jpeg_ls", "libjpeg", "openjpeg", "pylibjpeg", "rle")

_FETCHING = ("requests", "tqdm")

_hidden = [name for name in (*_DECODERS, *_FETCHING) if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment]  # to import it fails at once
try:
    import pydicom  # noqa: F401
finally:
    for _name in _hidden:
        del sys.modules[_name]
