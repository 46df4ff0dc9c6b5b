"""Is this DICOM? The first bytes decide, never the name."""

from __future__ import annotations

from dicomhouse.dicom.elements import FileHeader

_OTHER = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"%PDF", "pdf"),
    (b"\x7fELF", "elf"),
    (b"version https://git-lfs", "git_lfs_pointer"),
    (b"<?xml", "xml"),
    (b"<html", "html"),
    (b"<!DOCTYPE", "html"),
    (b"{", "json"),
)
_FIRST_GROUPS = frozenset({0x0002, 0x0004, 0x0008, 0x0000})


def kind_of(head: bytes, size: int) -> FileHeader | None:
    """What the first bytes (up to 512) of a file of `size` bytes say it is, None for DICOM.

    With a preamble and its prefix (PS3.10 7.1) a file is DICOM. Without one it is when it begins
    with an element of a low, even group in either byte order whose length fits in the file.
    """
    if not size:
        return FileHeader("empty", "empty: the file has no bytes")
    if head[128:132] == b"DICM":
        return None
    for magic, name in _OTHER:
        if head.startswith(magic):
            return FileHeader("not_dicom", f"{name}: the file begins as {name}")
    if _begins_with_element(head, size):
        return None
    if _is_text(head):
        return FileHeader("not_dicom", "text: the file begins as plain text")
    return FileHeader("not_dicom", "unknown: neither a DICM prefix nor a DICOM element first")


def _begins_with_element(head: bytes, size: int) -> bool:
    if len(head) < 8:
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
    return all(byte >= 0x20 or byte in b"\t\n\r\f\x1b" for byte in head)
