from shared.emulator.delivery.dead_letters import DeadLetter, Failure, reduced, with_error, without_error
from shared.emulator.delivery.record import Headers, Record

HEADERS: Headers = [("ce_id", b"t-1"), ("x", b"\xff\x00"), ("empty", None), ("x", b"again")]
FAILURE = Failure("refused", "http://updater/", 400, b'{"title":"Poison","detail":"amount is missing"}')


def record(headers: Headers, value: bytes | None = b"v") -> Record:
    return Record("fraud.transactions", 3, 42, b"k", value, headers)


def test_the_original_headers_survive_the_detour() -> None:
    headers = with_error(record(HEADERS), "updater", FAILURE)
    assert without_error(headers) == HEADERS


def test_a_dead_letter_says_why_and_where_it_failed_and_where_it_came_from() -> None:
    letter = DeadLetter.from_record(
        Record("fraud.dead-letters", 0, 7, b"k", b"v", with_error(record(HEADERS), "updater", FAILURE))
    )
    assert letter.reason == "amount is missing"
    assert (letter.code, letter.destination, letter.source) == ("400", "http://updater/", "updater")
    assert (letter.original_topic, letter.original_partition, letter.original_offset) == ("fraud.transactions", 3, 42)
    assert not letter.value_omitted


def test_a_second_failure_replaces_the_first() -> None:
    once = record(with_error(record(HEADERS), "updater", FAILURE))
    twice = with_error(once, "shadow", Failure("refused", "http://shadow/", 410, b"gone"))
    letter = DeadLetter.from_record(record(twice))
    assert (letter.code, letter.source, letter.reason) == ("410", "shadow", "gone")
    assert len(twice) == len(once.headers)


def test_a_hostile_header_of_the_same_name_does_not_pass_for_ours() -> None:
    headers = with_error(record([("CE_KnativeErrorCode", b"200"), ("ce_originaltopic", b"other")]), "updater", FAILURE)
    letter = DeadLetter.from_record(record(headers))
    assert (letter.code, letter.original_topic) == ("400", "fraud.transactions")


def test_a_record_too_large_with_its_error_leaves_its_value_behind_and_says_so() -> None:
    key, headers = reduced(record(HEADERS, b"v" * 900), "updater", FAILURE)
    letter = DeadLetter.from_record(record(headers, None))
    assert (key, letter.value_omitted, letter.original_offset) == (b"k", True, 42)


def test_a_record_nobody_delivered_is_readable_too() -> None:
    letter = DeadLetter.from_record(record([("ce_knativeerrordata", b"not base64 \xff"), ("ce_originaloffset", b"x")]))
    assert letter.original_topic is None
    assert letter.original_offset is None
    assert "not base64" in letter.reason
