"""Is this DICOM, and if not, what is it? The first bytes decide, never the name."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder

from dicomhouse.dicom.elements import FileHeader

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\0\0\0\x0cjP  ", "jpeg_2000"),
    (b"\xff\x4f\xff\x51", "jpeg_2000"),
    (b"GIF8", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"RIFF", "riff"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"%PDF", "pdf"),
    (b"%!PS", "postscript"),
    (b"{\\rtf", "rtf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),  # Thumbs.db, old office documents
    (b"\0\0\0\x01Bud1", "ds_store"),
    (b"\0\x05\x16\x07", "apple_double"),
    (b"\0\x05\x16\0", "apple_double"),
    (b"bplist", "property_list"),
    (b"L\0\0\0\x01\x14\x02\0", "windows_shortcut"),
    (b"\x7fELF", "elf"),
    (b"MZ\x90\0", "windows_program"),
    (b"\xcf\xfa\xed\xfe", "macos_program"),
    (b"\xca\xfe\xba\xbe", "macos_program"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "numpy"),
    (b"PAR1", "parquet"),
    (b"NRRD0", "nrrd"),
    (b"version https://git-lfs", "git_lfs_pointer"),
)
_MAGIC_WITHIN = (
    (257, b"ustar", "tar"),
    (4, b"ftyp", "mp4"),
    (344, b"n+1\0", "nifti"),
    (344, b"ni1\0", "nifti"),
)
_BITMAP = re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)
_MARKUP = ((re.compile(rb"<!doctype html|<html", re.IGNORECASE), "html"),
           (re.compile(rb"<[?!a-z]", re.IGNORECASE), "xml"),
           (re.compile(rb"[{\[]"), "json"))  # fmt: skip
"""Of texts, behind the blanks that they begin with."""
_FIRST_GROUPS = frozenset({0x0002, 0x0004, 0x0008, 0x0000})
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\r\f\x1b") | {0x7F}
_MOST = 512
"""Bytes that are looked at; they may cut a character."""
_LEAST_ASCII = 0.7
"""Of the bytes of a text in an 8-bit character set."""


def kind_of(head: bytes, size: int) -> FileHeader | None:
    """What the first bytes (up to 512) of a file of `size` bytes say it is, None for DICOM.

    With a preamble and its prefix (PS3.10 7.1) a file is DICOM. Without one it is when it begins
    with an element of a low, even group in either byte order whose length fits in the file.
    """
    if not size:
        return FileHeader("empty", "empty: the file has no bytes")
    if head[128:132] == b"DICM":
        return None
    if not any(head):
        return FileHeader("not_dicom", "zeros: the file begins with nothing but zeros")
    kind = _other_kind(head)
    if kind is None and _begins_with_element(head, size):
        return None
    if kind is None and _is_text(head):
        return FileHeader("not_dicom", "text: the file begins as plain text")
    if kind is not None:
        return FileHeader("not_dicom", f"{kind}: the file begins as {kind}")
    return FileHeader("not_dicom", "unknown: neither a DICM prefix nor a DICOM element first")


def _other_kind(head: bytes) -> str | None:
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    for at, magic, name in _MAGIC_WITHIN:
        if head.startswith(magic, at):
            return name
    if _BITMAP.match(head):
        return "bmp"
    text = head.removeprefix(BOM_UTF8).lstrip()
    for pattern, name in _MARKUP:
        if pattern.match(text) and _is_text(head):
            return name
    return None


def _begins_with_element(head: bytes, size: int) -> bool:
    if len(head) < 8 or not any(head[:8]):  # (0000,0000) of length 0 is not an element
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[0:2], order)
        number = int.from_bytes(head[2:4], order)
        if group not in _FIRST_GROUPS or number > 0x1FFF:
            continue
        if head[4:6].isalpha() and head[4:6].isupper():
            return True
        if int.from_bytes(head[4:8], order) <= size - 8:
            return True
    return False


def _is_text(head: bytes) -> bool:
    """Whether all bytes are text in UTF-8 or UTF-16, or nearly all in an 8-bit character set."""
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) and len(head) > 2:
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace")
        return not any(ord(letter) in _CONTROLS for letter in text) and "\ufffd" not in text[:-1]
    if not _CONTROLS.isdisjoint(head):
        return False
    try:
        getincrementaldecoder("utf-8")().decode(head, len(head) < _MOST)
    except UnicodeDecodeError:
        ascii_bytes = sum(byte < 0x80 for byte in head)
        return 0xFF not in head and ascii_bytes >= _LEAST_ASCII * len(head)
    return True
