"""Sealed credentials open with their own key, in their own place, and nowhere else."""

import base64
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model import Secret, Secrets
from app.seal import (
    Keyring,
    Sealer,
    SealError,
    account_binding,
    hash_api_key,
    is_link_valid,
    new_api_key,
    new_data_key,
    new_key_text,
    row_binding,
    sign_link,
)

KEY, OTHER = new_data_key(), new_data_key()
HERE, THERE = row_binding(UUID(int=1), 1), row_binding(UUID(int=1), 2)

secret = st.none() | st.text().map(Secret)


@given(st.builds(Secrets, secret, secret, st.booleans(), st.booleans()))
def test_what_is_sealed_opens_again(secrets: Secrets) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(secrets, HERE)
    is_token = {"smtp_is_token": secrets.smtp_is_token, "imap_is_token": secrets.imap_is_token}
    if secrets.smtp is None and secrets.imap is None:
        assert sealed is None
        assert sealer.open(sealed, HERE, **is_token) == Secrets()
    else:
        assert Sealer(KEY).open(sealed, HERE, **is_token) == secrets


@given(st.data())
def test_one_changed_bit_opens_nothing(data: st.DataObject) -> None:
    sealed = bytearray(Sealer(KEY).seal(Secrets(Secret("right horse")), HERE) or b"")
    place = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[place // 8] ^= 1 << place % 8
    with pytest.raises(SealError):
        Sealer(KEY).open(bytes(sealed), HERE)


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 27])
def test_what_is_cut_opens_nothing(cut: int) -> None:
    sealed = Sealer(KEY).seal(Secrets(Secret("right horse")), HERE) or b""
    with pytest.raises(SealError):
        Sealer(KEY).open(sealed[:cut], HERE)


def test_a_sealed_text_moved_to_another_row_does_not_open() -> None:
    sealed = Sealer(KEY).seal(Secrets(Secret("right horse")), HERE)
    with pytest.raises(SealError):
        Sealer(KEY).open(sealed, THERE)
    with pytest.raises(SealError):
        Sealer(OTHER).open(sealed, HERE)


def test_bindings_of_different_things_differ() -> None:
    one, two = UUID(int=1), UUID(int=2)
    made = [row_binding(one, 1), row_binding(one, 2), row_binding(two, 1)]
    made += [
        account_binding(one, "a@example.com"),
        account_binding(two, "a@example.com"),
        account_binding(one, "ä@b.com"),
    ]
    assert len(set(made)) == len(made)


def test_the_same_credentials_never_look_the_same() -> None:
    sealer = Sealer(KEY)
    made = {sealer.seal(Secrets(Secret("right horse")), HERE) for _ in range(50)}
    assert len(made) == 50
    assert not any(b"right horse" in (sealed or b"") for sealed in made)


def test_what_was_not_sealed_by_us_is_our_own_fault() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = bytes(12)
    foreign = nonce + AESGCM(KEY).encrypt(nonce, b"\xc1 not ours", HERE)
    with pytest.raises(SealError):
        Sealer(KEY).open(foreign, HERE)


def test_the_first_key_wraps_and_all_unwrap() -> None:
    old, new = new_key_text(), new_key_text()
    before = Keyring.from_texts([old])
    wrapped = before.wrap(KEY)
    assert wrapped != before.wrap(KEY)
    assert KEY not in wrapped
    both = Keyring.from_texts([new, old])
    assert both.unwrap(wrapped) == KEY
    assert (before.is_current(wrapped), both.is_current(wrapped)) == (True, False)
    assert both.is_current(both.wrap(KEY))


def test_a_key_that_is_not_in_the_ring_opens_nothing() -> None:
    wrapped = Keyring.from_texts([new_key_text()]).wrap(KEY)
    with pytest.raises(SealError):
        Keyring.from_texts([new_key_text()]).unwrap(wrapped)


@pytest.mark.parametrize("place", [0, 7, 8, 19, 20, -1])
def test_a_wrapped_key_that_was_touched_opens_nothing(place: int) -> None:
    ring = Keyring.from_texts([new_key_text()])
    wrapped = bytearray(ring.wrap(KEY))
    wrapped[place] ^= 1
    with pytest.raises(SealError):
        ring.unwrap(bytes(wrapped))
    with pytest.raises(SealError):
        ring.unwrap(b"")


@pytest.mark.parametrize(
    "texts",
    [[], ["short"], ["not base64!"], [base64.b64encode(bytes(31)).decode()], [new_key_text(), ""], ["ä" * 44]],
)
def test_keys_that_are_none_are_refused_and_not_quoted(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        Keyring.from_texts(texts)
    assert not any(text in str(caught.value) for text in texts if text)


def test_keys_may_be_written_url_safe() -> None:
    key = bytes([251, 255]) * 16
    standard, url_safe = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
    assert standard != url_safe
    assert Keyring.from_texts([standard]).keys == Keyring.from_texts([url_safe]).keys == (key,)


def test_a_ring_does_not_print_its_keys() -> None:
    text = new_key_text()
    shown = repr(Keyring.from_texts([text]))
    assert shown == "Keyring(1 keys)"


def test_api_keys_are_256_random_bits_of_which_the_start_is_shown() -> None:
    made = [new_api_key() for _ in range(20)]
    assert len({text for text, _, _ in made}) == 20
    for text, shown, digest in made:
        assert text.startswith("bc_live_")
        assert len(base64.urlsafe_b64decode(text.removeprefix("bc_live_") + "=")) == 32
        assert (text[:12], hash_api_key(text)) == (shown, digest)
        assert len(digest) == 32
    assert hash_api_key("bc_live_\udcff") != hash_api_key("bc_live_")


def test_a_link_is_good_for_its_path_until_its_end() -> None:
    key = Keyring.from_texts([new_key_text()]).link_key()
    signature = sign_link("/r/1", 1000, key)
    assert is_link_valid("/r/1", 1000, signature, key, 999.9)
    assert not is_link_valid("/r/1", 1000, signature, key, 1000)
    assert not is_link_valid("/r/2", 1000, signature, key, 999)
    assert not is_link_valid("/r/1", 1001, signature, key, 999)
    assert not is_link_valid("/r/1", 1000, signature[:-1], key, 999)
    assert not is_link_valid("/r/1", 1000, "ä\udcff", key, 999)
    assert not is_link_valid("/r/1", 1000, signature, Keyring.from_texts([new_key_text()]).link_key(), 999)
    assert not {"+", "/", "="} & set(signature)


def test_a_path_cannot_be_shifted_into_its_end() -> None:
    key = bytes(32)
    assert sign_link("/r/1\n1", 0, key) != sign_link("/r/1", 10, key)


def test_new_data_keys_differ() -> None:
    assert len({new_data_key() for _ in range(20)}) == 20
    assert len(new_data_key()) == 32
    assert row_binding(uuid4(), 2**31 - 1)
