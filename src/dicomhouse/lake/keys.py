"""Identities that never depend on order: of a file, and of the entities it belongs to."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from dicomhouse.filesystem import open_file, replace_file

MOST_KEY_BYTES = blake2b.MAX_KEY_SIZE
_KEY = ".file-id-key"


def file_id(source: str, path: str, key: str = "") -> int:
    """63 bits of a BLAKE2b digest of a file's identity, (source, path below the source).

    Without the key nobody can look for two names whose ids are the same.
    """
    digest = blake2b(f"{source}\0{path}".encode(), digest_size=8, key=key.encode()).digest()
    return int.from_bytes(digest, "little") >> 1


def is_key(text: str) -> bool:
    """Whether file ids can be made with it."""
    return text.isascii() and len(text) <= MOST_KEY_BYTES


def stored_key(warehouse: Path) -> str:
    """The key of a warehouse's file ids; empty where it has none, or a damaged one."""
    with suppress(OSError), open_file(warehouse / _KEY, os.O_NOFOLLOW)[0] as file:
        text = file.read(MOST_KEY_BYTES + 1).decode("ascii", "replace")
        return text if is_key(text) else ""
    return ""


def key_of(warehouse: Path) -> str:
    """The same, made at random where there is none. Hold the builder's lock.

    Raises:
        OSError: it cannot be written.
    """
    if key := stored_key(warehouse):
        return key
    key = os.urandom(16).hex()
    replace_file(warehouse / _KEY, key.encode())
    return key


def entity_key(kind: str, source: str, *identity: str) -> str:
    """16 hexadecimal digits for a patient, study or series of a source; safe to be logged."""
    words = (kind, source, *identity)
    joined = "\0".join(words)
    if joined.count("\0") >= len(words):  # one holds a NUL itself: the lengths tell them apart
        joined += "\0" + " ".join(str(len(word)) for word in words)
    return blake2b(joined.encode(), digest_size=8).hexdigest()


def patient_key(source: str, patient_id: str | None, issuer: str | None, folder: str) -> str:
    """By PatientID (and its issuer where present), else by the patient folder."""
    if patient_id:
        return entity_key("patient", source, "id", patient_id, issuer or "")
    return entity_key("patient", source, "folder", folder)


def uid_key(kind: str, source: str, uid: str | None, folder: str) -> str:
    """A study's or series' key: by its UID, else by the folder the file lies in."""
    return entity_key(kind, source, *(("uid", uid) if uid else ("folder", folder)))
