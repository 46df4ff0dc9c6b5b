"""Identities that never depend on order: of a file, and of the entities it belongs to."""

from __future__ import annotations

from hashlib import blake2b


def file_id(source: str, path: str) -> int:
    """63 bits of a BLAKE2b digest of a file's identity, (source, path below the source)."""
    digest = blake2b(f"{source}\0{path}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def entity_key(kind: str, source: str, *identity: str) -> str:
    """16 hexadecimal digits for a patient, study or series of a source; safe to be logged."""
    return blake2b("\0".join((kind, source, *identity)).encode(), digest_size=8).hexdigest()


def patient_key(source: str, patient_id: str | None, issuer: str | None, folder: str) -> str:
    """By PatientID (and its issuer where present), else by the patient folder."""
    if patient_id:
        return entity_key("patient", source, "id", patient_id, issuer or "")
    return entity_key("patient", source, "folder", folder)


def uid_key(kind: str, source: str, uid: str | None, folder: str) -> str:
    """A study's or series' key: by its UID, else by the folder the file lies in."""
    return entity_key(kind, source, *(("uid", uid) if uid else ("folder", folder)))
