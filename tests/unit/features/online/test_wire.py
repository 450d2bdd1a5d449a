import pytest

from shared.features.catalogue import CATALOGUE
from shared.features.online.layout import Limits
from shared.features.online.wire import Protocol, card_key, pack, subject_of
from tests.support.features.oracle import Tx

TX = Tx("t1", "c1", 1_700_000_000_123, 4_990, merchant_category="crypto")


def hash_tag(key: str) -> str:
    """What a Redis Cluster hashes: the text between the first brace and the next closing one, if any."""
    start = key.index("{")
    return key[start + 1 : key.index("}", start)]


@pytest.mark.parametrize("card", ["c", "}", "{", "{}", "a}b", "a{b}c", "%7D", "東京", "%"])
def test_a_cards_keys_share_a_hash_tag_of_their_own(card: str) -> None:
    assert hash_tag(card_key(card)) != ""
    assert card_key(card).endswith("}")


def test_card_keys_differ() -> None:
    cards = ["a}b", "a%7Db", "a{b", "a%7Bb", "ab", "a%b", "a%25b"]
    assert len({card_key(card) for card in cards}) == len(cards)


def test_a_canonical_uuid_is_shortened_and_no_other_id_is_mistaken_for_it() -> None:
    uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    ids = [uuid, uuid.upper(), uuid.replace("-", ""), "u" + uuid, pack(Tx(uuid, "c", 0, 0)).command[1].decode()]
    packed = [pack(Tx(one, "c", 0, 0)).command[1] for one in ids]
    assert len(packed[0]) == 23
    assert len(set(packed)) == len(ids)


@pytest.mark.parametrize(
    "tx",
    [
        Tx("t", "c", -1, 1),
        Tx("t", "c", 2**48, 1),
        Tx("t", "c", 1, -1),
        Tx("t", "c", 1, 10**12 + 1),
        Tx("t\0", "c", 1, 1),
        Tx("t", "c", 1, 1, city="a\0b"),
    ],
)
def test_what_cannot_be_recorded_is_refused(tx: Tx) -> None:
    with pytest.raises(ValueError, match=r"out of range|NUL"):
        pack(tx)


def test_request_only_vector() -> None:
    vector = dict(zip(CATALOGUE.names, Protocol(CATALOGUE, Limits()).request_only(subject_of(TX)), strict=True))
    assert {name for name, value in vector.items() if value is not None} == set(CATALOGUE.request_only)
    assert vector["amount"] == 4_990
    assert vector["is_high_risk_merchant"] == 1
    assert vector["hour_of_day"] == 22
    assert vector["is_weekend"] == 0


@pytest.mark.parametrize(("category", "flag"), [(None, None), ("", None), ("grocery", 0), ("gambling", 1)])
def test_high_risk_is_null_when_the_category_is_unknown(category: str | None, flag: int | None) -> None:
    vector = Protocol(CATALOGUE, Limits()).request_only(subject_of(Tx("t", "c", 0, 0, merchant_category=category)))
    assert vector[CATALOGUE.names.index("is_high_risk_merchant")] == flag
