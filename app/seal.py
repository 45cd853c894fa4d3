"""Pure (but for fresh nonces and keys): credentials at rest, API keys, signed links.

AES-256-GCM. `SECRET_KEYS` wrap data keys; a data key seals rows or accounts, each bound to its own id, so that
a sealed text moved to another row does not open. Rotating `SECRET_KEYS` rewraps data keys and nothing else.

    wrapped data key = key id (8 bytes) + nonce (12) + ciphertext (32) + tag (16)
    sealed secrets   = nonce (12) + ciphertext + tag (16)
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.model import Secret, Secrets

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
KEY_ID_BYTES: Final = 8
API_KEY_PREFIX: Final = "bc_live_"
SHOWN_CHARACTERS: Final = len(API_KEY_PREFIX) + 4


class SealError(Exception):
    """A sealed credential cannot be opened: the key is gone, or it was sealed for something else."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that wrap data keys: the first wraps, all unwrap."""

    keys: tuple[bytes, ...]

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> "Keyring":
        """Read keys in base64, standard or URL-safe.

        Raises:
            ValueError: a key is not 32 bytes in base64, or there is none.
        """
        keys = []
        for text in texts:
            try:
                key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
            except ValueError:  # not ASCII, or not base64
                key = b""
            if len(key) != KEY_BYTES:
                raise ValueError("must be keys of 32 bytes in base64, separated by commas")
            keys.append(key)
        if not keys:
            raise ValueError("must hold at least one key")
        return cls(tuple(keys))

    def __repr__(self) -> str:
        return f"Keyring({len(self.keys)} keys)"

    def wrap(self, data_key: bytes) -> bytes:
        """Wrap a data key under the first key."""
        nonce = os.urandom(NONCE_BYTES)
        head = _key_id(self.keys[0])
        return head + nonce + AESGCM(self.keys[0]).encrypt(nonce, data_key, head)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key.

        Raises:
            SealError: none of the keys wrapped it.
        """
        head, nonce = wrapped[:KEY_ID_BYTES], wrapped[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        for key in self.keys:
            if hmac.compare_digest(_key_id(key), head):
                try:
                    return AESGCM(key).decrypt(nonce, wrapped[KEY_ID_BYTES + NONCE_BYTES :], head)
                except InvalidTag:
                    raise SealError from None
        raise SealError

    def is_current(self, wrapped: bytes) -> bool:
        """Tell whether a data key is wrapped under the first key."""
        return hmac.compare_digest(wrapped[:KEY_ID_BYTES], _key_id(self.keys[0]))

    def link_key(self) -> bytes:
        """Return the key that signs report links; it changes with the first key, and links with it."""
        return hashlib.sha256(b"bulk-connect report links" + self.keys[0]).digest()


def new_key_text() -> str:
    """Make one key for `SECRET_KEYS`."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def new_data_key() -> bytes:
    """Make a data key."""
    return os.urandom(KEY_BYTES)


class Sealer:
    """Seals and opens with one data key; keeps the cipher, so that many rows cost little."""

    def __init__(self, data_key: bytes) -> None:
        self._cipher = AESGCM(data_key)

    def seal(self, given: Secrets, bound_to: bytes) -> bytes | None:
        """Seal the credentials of one row or account; None where there are none."""
        if given.smtp is None and given.imap is None:
            return None
        smtp = given.smtp.reveal() if given.smtp is not None else None
        # Most rows have one password for both sides: it is kept once.
        imap = given.imap.reveal() if given.imap is not None else None
        parts = [smtp] if smtp == imap else [smtp, imap]
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(parts), bound_to)

    def open(
        self, sealed: bytes | None, bound_to: bytes, *, smtp_is_token: bool = False, imap_is_token: bool = False
    ) -> Secrets:
        """Return the credentials.

        Raises:
            SealError: it was sealed with another key, or for something else.
        """
        if sealed is None:
            return Secrets()
        try:
            text = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
            parts = msgspec.msgpack.decode(text, type=list[str | None])
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise SealError from None
        smtp, imap = (parts[0], parts[-1])
        return Secrets(
            smtp=None if smtp is None else Secret(smtp),
            imap=None if imap is None else Secret(imap),
            smtp_is_token=smtp_is_token,
            imap_is_token=imap_is_token,
        )


def row_binding(request_id: UUID, row: int) -> bytes:
    """Return what a row's sealed secrets are bound to."""
    return request_id.bytes + row.to_bytes(4, "big")


def account_binding(workspace_id: UUID, email: str) -> bytes:
    """Return what an account's sealed secrets are bound to."""
    return workspace_id.bytes + email.encode()


def new_api_key() -> tuple[str, str, bytes]:
    """Make an API key of 256 random bits: (the key, the part that is shown, its hash)."""
    text = API_KEY_PREFIX + secrets.token_urlsafe(32)
    return text, text[:SHOWN_CHARACTERS], hash_api_key(text)


def hash_api_key(text: str) -> bytes:
    """Return what is stored of an API key. 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def sign_link(path: str, expires_at: int, key: bytes) -> str:
    """Sign a link's path and its end (Unix time)."""
    digest = hmac.digest(key, f"{path}\n{expires_at}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_link_valid(path: str, expires_at: int, signature: str, key: bytes, now: float) -> bool:
    """Tell whether a signed link is genuine and not yet over."""
    genuine = hmac.compare_digest(sign_link(path, expires_at, key).encode(), signature.encode("utf-8", "replace"))
    return genuine and now < expires_at


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"bulk-connect key id" + key).digest()[:KEY_ID_BYTES]
