"""Files of transactions as users have them: wrong types, wrong order, wrong rows."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.transaction import Transaction
from shared.features.history import HistoryFeatures
from shared.tabular import ReadingOptions, TabularError, TransactionTable, read_transactions
from shared.tabular.options import pairs
from shared.tabular.values import amounts

CARD_NUMBER = "4111 1111 1111 1111"
HEADER = "transaction_id,card_id,amount,currency,merchant_id,timestamp"


class Reader:
    """Reads a file written for the test; keeps what was refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused: list[dict[str, Any]] = []

    def __call__(self, content: str | bytes | pa.Table, **options: Any) -> TransactionTable:
        file = self.folder / "transactions.dat"
        if isinstance(content, pa.Table):
            pq.write_table(content, file)
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        workspace = self.folder / "work"
        workspace.mkdir(exist_ok=True)
        table = read_transactions(file, ReadingOptions(**options), workspace)
        if table.rejected:
            self.refused = [json.loads(line) for line in table.rejected.read_text().splitlines()]
            assert table.rejected == self.folder / "transactions.dat.rejected.jsonl"
        assert table.refused == len(self.refused)
        return table


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def csv(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def ids(table: TransactionTable) -> list[str]:
    return [one.transaction_id for one in table.transactions()]


def only(table: TransactionTable) -> Transaction:
    (one,) = table.transactions()
    return one


def test_csv_in_our_names_is_read_as_it_is(read: Reader) -> None:
    one = only(read(csv("007,c1,12.30,EUR,m1,2026-01-02T03:04:05.678+01:00")))
    assert one.transaction_id == "007"  # no number was made of it
    assert one.amount_minor == 1230
    assert one.event_time_ms == int(datetime(2026, 1, 2, 2, 4, 5, 678000, UTC).timestamp() * 1000)
    assert one.merchant_category is one.city is one.country is one.latitude is one.channel is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters(read: Reader, delimiter: str) -> None:
    text = csv("a,c1,12.30,EUR,m1,2026-01-02T03:04:05Z").replace(",", delimiter)
    assert only(read(text)).amount_minor == 1230


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: b"\xef\xbb\xbf" + content])
def test_csv_gzipped_or_with_a_byte_order_mark(read: Reader, pack: Callable[[bytes], bytes]) -> None:
    content = pack(csv("a,c1,1.00,EUR,m1,2026-01-02T03:04:05Z").encode())
    assert ids(read(content)) == ["a"]


def test_renamed_columns_constants_and_ignored_columns(read: Reader) -> None:
    table = read(
        csv("1,2,3.5,2026-01-01 00:00:00,4,x", header="TX,CARD,AMT,WHEN,SHOP,extra"),
        rename={
            "TX": "transaction_id",
            "CARD": "card_id",
            "AMT": "amount",
            "WHEN": "timestamp",
            "SHOP": "merchant_id",
        },
        constants={"currency": "EUR", "country": "FR"},
    )
    one = only(table)
    assert (one.transaction_id, one.card_id, one.merchant_id) == ("1", "2", "4")
    assert (one.currency, one.country, one.amount) == ("EUR", "FR", Decimal("3.50"))
    assert table.ignored == ("extra",)
    assert table.assumed_zone == "UTC"


def test_constant_wins_over_a_column_of_the_name(read: Reader) -> None:
    table = read(csv("a,c1,1.00,USD,m1,2026-01-02T03:04:05Z"), constants={"currency": "EUR"})
    assert only(table).currency == "EUR"
    assert table.ignored == ("currency",)


def test_parquet_types_keep_their_values(read: Reader) -> None:
    table = read(
        pa.table(
            {
                "transaction_id": pa.array([9007199254740993], pa.int64()),
                "card_id": pa.array([596.0]),
                "amount": pa.array([57.16], pa.float32()),
                "currency": pa.array(["EUR"]).dictionary_encode(),
                "merchant_id": pa.array(["00012"]),
                "timestamp": pa.array([1522540831123456789], pa.timestamp("ns")),
                "latitude": pa.array([float("nan")]),
                "longitude": pa.array([1.5]),
            }
        )
    )
    one = only(table)
    assert one.transaction_id == "9007199254740993"
    assert one.card_id == "596"
    assert one.amount_minor == 5716
    assert one.merchant_id == "00012"
    assert one.event_time_ms == 1522540831123
    assert one.latitude is None
    assert one.longitude == 1.5


@given(minor=st.integers(0, 10**12))
def test_amounts_in_doubles_are_exact_to_the_cent(minor: int) -> None:
    (text,) = amounts(pa.array([minor / 100]))
    assert Decimal(text) * 100 == minor


def test_local_times_use_the_zone_and_its_clock_changes(read: Reader) -> None:
    rows = ["2026-07-01 12:00:00", "2026-01-01 12:00:00", "2026-10-25 02:30:00", "2026-07-01T12:00:00Z"]
    table = read(csv(*(f"{number},c,1,EUR,m,{when}" for number, when in enumerate(rows))), timezone="Europe/Paris")
    found = {one.transaction_id: one.timestamp.astimezone(UTC).isoformat() for one in table.transactions()}
    assert found == {
        "0": "2026-07-01T10:00:00+00:00",
        "1": "2026-01-01T11:00:00+00:00",
        "2": "2026-10-25T00:30:00+00:00",  # it happens twice that night: the first
        "3": "2026-07-01T12:00:00+00:00",
    }
    assert table.assumed_zone == "Europe/Paris"


def test_timestamp_columns_with_and_without_zone(read: Reader) -> None:
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    rows: dict[str, Any] = {name: ["x"] for name in ("transaction_id", "card_id", "merchant_id")}
    rows |= {"amount": ["1"], "currency": ["EUR"]}
    aware = read(
        pa.table(rows | {"timestamp": pa.array([moment], pa.timestamp("us", "Asia/Tokyo"))}), timezone="Asia/Tokyo"
    )
    assert only(aware).timestamp == moment
    assert aware.assumed_zone is None
    naive = read(pa.table(rows | {"timestamp": pa.array([moment.replace(tzinfo=None)])}), timezone="Asia/Tokyo")
    assert only(naive).timestamp.astimezone(UTC) == datetime(2026, 7, 1, 3, tzinfo=UTC)
    assert naive.assumed_zone == "Asia/Tokyo"


def test_event_time_order_with_ties_in_file_order(read: Reader) -> None:
    rows = [("a", 5), ("b", 3), ("c", 5), ("d", 1), ("e", 3)]
    table = read(csv(*(f"{name},c,1,EUR,m,2026-01-01T00:00:0{second}Z" for name, second in rows)))
    assert ids(table) == ["d", "b", "e", "a", "c"]
    assert [one.transaction_id for one in table.transactions(skip=3)] == ["a", "c"]


@given(seconds=st.lists(st.integers(0, 30), max_size=60))
def test_any_order_comes_out_sorted_and_whole(tmp_path_factory: pytest.TempPathFactory, seconds: list[int]) -> None:
    read = Reader(tmp_path_factory.mktemp("any"))
    table = read(csv(*(f"{n},c{n % 3},1,EUR,m,2026-01-01T00:00:{s:02}Z" for n, s in enumerate(seconds))))
    expected = [str(number) for number, _ in sorted(enumerate(seconds), key=lambda pair: pair[1])]
    assert ids(table) == expected


def test_first_rows_are_those_of_the_file_not_of_the_clock(read: Reader) -> None:
    rows = [f"{number},c,1,EUR,m,2026-01-01T00:00:{50 - number:02}Z" for number in range(20)]
    table = read(csv(*rows), rows=3)
    assert ids(table) == ["2", "1", "0"]
    assert table.read == 3


def test_first_rows_count_refused_rows_too(read: Reader) -> None:
    good = "{},c,1,EUR,m,2026-01-01T00:00:00Z"
    table = read(csv("short,row", good.format("a"), "x,c,-1,EUR,m,2026-01-01T00:00:00Z", good.format("b")), rows=3)
    assert ids(table) == ["a"]
    assert [row["row"] for row in read.refused] == [1, 3]
    assert table.read == 3


def test_refused_rows_have_number_id_and_reason_and_never_the_value(read: Reader) -> None:
    table = read(
        csv(
            "ok,c1,1.00,EUR,m1,2026-01-01T00:00:00Z",
            "cents,c1,1.005,EUR,m1,2026-01-01T00:00:00Z",
            f"card,{CARD_NUMBER},1.00,EUR,m1,2026-01-01T00:00:00Z",
            f"{CARD_NUMBER},c1,1.00,EUR,m1,2026-01-01T00:00:00Z",
            "when,c1,1.00,EUR,m1,yesterday-or-so",
            "day,c1,1.00,EUR,m1,2026-01-01",
            "none,,1.00,EUR,m1,2026-01-01T00:00:00Z",
            "long,c1,1.00,EUR,m1,2026-01-01T00:00:00Z,more",
            "ok2,c2,1.00,EUR,m1,2026-01-01T00:00:00Z",
        )
    )
    assert ids(table) == ["ok", "ok2"]
    found = {row["row"]: (row["transaction_id"], row["reason"]) for row in read.refused}
    assert found[2] == ("cents", "amount: has more than the 2 decimals of EUR")
    assert found[3][0] == "card"
    assert found[3][1].startswith("card_id: ")
    assert found[4][1].startswith("transaction_id: ")
    assert found[5] == ("when", "timestamp: is not an ISO 8601 date and time")
    assert found[6] == ("day", "timestamp: is a date without a time")
    assert found[7] == ("none", "card_id: is required")
    assert found[8] == (None, "has 7 values for 6 columns")
    assert table.rejected is not None
    written = table.rejected.read_text()
    assert "1111" not in written
    assert "yesterday" not in written


def test_bytes_that_are_no_text_spoil_their_own_row_only(read: Reader) -> None:
    content = csv("a,c1,1,EUR,m1,2026-01-01T00:00:00Z", "b,c?,1,EUR,m1,2026-01-01T00:00:00Z").encode()
    table = read(content.replace(b"c?", b"c\xff"))
    assert ids(table) == ["a"]
    assert read.refused == [{"row": 2, "transaction_id": "b", "reason": "card_id: is not UTF-8"}]


def test_the_same_transaction_twice_is_one(read: Reader) -> None:
    row = "{},{},1,EUR,m1,2026-01-01T00:00:0{}Z"
    table = read(csv(row.format("a", "c1", 5), row.format("a", "c2", 4), row.format("a", "c1", 1)))
    assert [(one.transaction_id, one.card_id) for one in table.transactions()] == [("a", "c2"), ("a", "c1")]
    assert read.refused[0] == {
        "row": 3,
        "transaction_id": "a",
        "reason": "transaction_id: repeats row 1 of the same card",
    }


def test_refused_rows_of_an_earlier_reading_are_gone(read: Reader) -> None:
    read(csv("bad,c1,x,EUR,m1,2026-01-01T00:00:00Z"))
    read.refused.clear()
    table = read(csv("a,c1,1,EUR,m1,2026-01-01T00:00:00Z"))
    assert table.rejected is None
    assert not list(read.folder.glob("*.rejected.jsonl"))


def test_country_na_is_namibia(read: Reader) -> None:
    table = read(csv("a,c,1,EUR,m,2026-01-01T00:00:00Z,NA,NaN", header=HEADER + ",country,city"))
    one = only(table)
    assert one.country == "NA"
    assert one.city == "NaN"


def test_tokenized_cards_are_equal_for_equal_numbers_however_written(read: Reader) -> None:
    options: dict[str, Any] = {"tokenize": frozenset({"card_id"}), "token_key": b"k" * 16}
    rows = [
        f"{n},{card},1,EUR,m,2026-01-01T00:00:0{n}Z" for n, card in enumerate([CARD_NUMBER, "4111111111111111", "42"])
    ]
    cards = [one.card_id for one in read(csv(*rows), **options).transactions()]
    assert cards[0] == cards[1] != cards[2]
    assert not any("1111" in card for card in cards)
    other = read(csv(*rows), **(options | {"token_key": b"K" * 16}))
    assert next(other.transactions()).card_id != cards[0]


@pytest.mark.parametrize("key", [None, b"short"])
def test_tokenizing_needs_a_real_key(key: bytes | None) -> None:
    with pytest.raises(TabularError, match="key of at least 16 bytes"):
        ReadingOptions(tokenize=frozenset({"card_id"}), token_key=key)


def test_the_key_is_not_shown() -> None:
    options = ReadingOptions(tokenize=frozenset({"card_id"}), token_key=b"secret-secret-secret")
    assert "secret" not in repr(options)


def test_labels_pass_through_and_wrong_ones_are_refused(read: Reader) -> None:
    rows = ["1,2026-02-01T00:00:00Z", "false,", ",", "perhaps,"]
    table = read(
        csv(
            *(f"{n},c,1,EUR,m,2026-01-01T00:00:0{n}Z,{row}" for n, row in enumerate(rows)),
            header=HEADER + ",fraud,known",
        ),
        label="fraud",
        label_time="known",
    )
    found = pq.read_table(table.path, columns=["label", "label_time_ms"]).to_pylist()
    assert found == [
        {"label": True, "label_time_ms": 1769904000000},
        {"label": False, "label_time_ms": None},
        {"label": None, "label_time_ms": None},
    ]
    assert read.refused[0]["reason"] == "label: is neither true nor false"
    assert table.ignored == ()


def test_the_table_is_what_the_history_engine_reads(read: Reader) -> None:
    table = read(csv(*(f"{n},c,1.50,EUR,m,2026-01-01T00:0{9 - n}:00Z" for n in range(3))))
    features = HistoryFeatures(threads=1).table(table.path).to_pylist()
    assert [row["transaction_id"] for row in features] == ["2", "1", "0"]
    assert [row["total_amount_10m"] for row in features] == [150, 300, 450]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rename": {"A": "nonsense"}}, "'nonsense' is not a field"),
        ({"constants": {"label": "1"}}, "'label' is not a field"),
        ({"rename": {"A": "amount", "B": "amount"}}, "filled twice: amount"),
        ({"rename": {"A": "amount"}, "constants": {"amount": "1"}}, "filled twice: amount"),
        ({"timezone": "Mars/Olympus"}, "unknown time zone"),
        ({"timezone": "../etc/passwd"}, "unknown time zone"),
        ({"tokenize": frozenset({"amount"}), "token_key": b"k" * 16}, "only card_id"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TabularError, match=message):
        ReadingOptions(**options)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "is empty"),
        (b"\x00\x01\x02\xff" * 50, {}, "neither Parquet nor text"),
        (b"PAR1 no more", {}, "no whole Parquet file"),
        (gzip.compress(csv("a,c,1,EUR,m,2026-01-01T00:00:00Z").encode())[:-12], {}, "can not be read|is broken"),
        (csv(), {"rename": {"X": "amount"}}, "no column X; it has transaction_id, card_id"),
        (csv(), {"label": "fraud"}, "no column fraud"),
        (csv(header="transaction_id,card_id"), {}, "nothing gives currency, amount, merchant_id, timestamp"),
        (csv(header=HEADER + ",amount"), {}, "several columns are called amount"),
        (
            pa.table({name: [[1]] for name in HEADER.split(",")}),
            {},
            "column transaction_id for transaction_id: a column of type",
        ),
    ],
)
def test_wrong_files_say_what_is_wrong(read: Reader, content: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TabularError, match=message):
        read(content, **options)


def test_an_absent_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(TabularError, match="can not be read: No such file"):
        read_transactions(tmp_path / "absent.csv", ReadingOptions(), tmp_path)


def test_header_alone_is_an_empty_table(read: Reader) -> None:
    table = read(csv())
    assert table.rows == table.read == 0
    assert ids(table) == []


def test_rows_are_numbered_across_batches(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.tabular.sources._BLOCK_BYTES", 256)
    rows = [
        "short" if number % 10 == 0 else f"{number},c,{'x' if number % 7 == 0 else 1},EUR,m,2026-01-01T00:00:00Z"
        for number in range(1, 200)
    ]
    table = read(csv(*rows))
    assert sorted(row["row"] for row in read.refused) == [n for n in range(1, 200) if n % 10 == 0 or n % 7 == 0]
    assert ids(table) == [str(n) for n in range(1, 200) if n % 10 and n % 7]
    assert table.read == 199


@pytest.mark.parametrize("text", ["novalue", "=x", "a=", ""])
def test_pairs_refuses_what_is_no_pair(text: str) -> None:
    with pytest.raises(TabularError, match="--map takes NAME=VALUE"):
        pairs([text], "--map")


def test_pairs_keeps_later_equals_signs_and_refuses_repetition() -> None:
    assert pairs(["a=b=c"], "--set") == {"a": "b=c"}
    with pytest.raises(TabularError, match="names a twice"):
        pairs(["a=b", "a=c"], "--set")
