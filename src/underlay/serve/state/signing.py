"""The key that signs checkpoints: made once, for its owner alone; whoever verifies needs its public half only."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from underlay.core import UsageError
from underlay.core.durable import resource_errors, write_file

PRIVATE, PUBLIC = "audit.key", "audit.pub"
"""PKCS #8 and SubjectPublicKeyInfo in PEM, as `openssl pkey` reads them."""


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """The key of a folder, made if there is none.

    Args:
        folder: For its owner alone.

    Raises:
        UsageError: `audit_key`: the file is no such key, or others may read it.
        ResourceError: It cannot be written.
    """
    path = folder / PRIVATE
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        write_file(folder / PUBLIC, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        write_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return key
    with resource_errors(path):
        data, mode = path.read_bytes(), stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        raise UsageError(f"others than its owner may read {path}", f"chmod 600 {path}", code="audit_key")
    try:
        found = load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise _no_key(path) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise _no_key(path)
    return found


def public_key(path: Path) -> Ed25519PublicKey:
    """The public half of a key, from its file.

    Raises:
        UsageError: `audit_key`: the file is no such key.
        ResourceError: It cannot be read.
    """
    with resource_errors(path):
        data = path.read_bytes()
    try:
        found = load_pem_public_key(data)
    except ValueError as error:
        raise _no_key(path) from error
    if not isinstance(found, Ed25519PublicKey):
        raise _no_key(path)
    return found


def signed_by(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether a key signed this."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _no_key(path: Path) -> UsageError:
    return UsageError(f"{path} holds no Ed25519 key in PEM", "restore it, or name another", code="audit_key")
