import pytest

from functions.train.backtest.columns import guess_columns

HANDBOOK = ("TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD")


def guess(available, mapping=None, constants=(), label=None, label_time=None):
    return guess_columns(available, mapping=mapping or {}, constants=constants, label=label, label_time=label_time)


def test_the_handbooks_columns_are_guessed():
    found = guess(HANDBOOK)
    assert found.fields == {
        "TRANSACTION_ID": "transaction_id",
        "TX_DATETIME": "timestamp",
        "CUSTOMER_ID": "card_id",
        "TERMINAL_ID": "merchant_id",
        "TX_AMOUNT": "amount",
    }
    assert found.label == "TX_FRAUD"
    assert set(found.guessed) == set(HANDBOOK)


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (
            ("trans_date_trans_time", "cc_num", "merchant", "category", "amt", "trans_num", "merch_lat", "is_fraud"),
            {"cc_num": "card_id", "amt": "amount", "category": "merchant_category", "merch_lat": "latitude"},
        ),
        (("nameOrig", "nameDest", "amount", "isFraud"), {"nameOrig": "card_id", "nameDest": "merchant_id"}),
    ],
)
def test_names_of_other_public_data_sets_are_guessed(available, expected):
    assert expected.items() <= guess(available).fields.items()


def test_what_was_said_is_not_guessed_again():
    found = guess(HANDBOOK, mapping={"CUSTOMER_ID": "merchant_id"}, constants=("amount",), label="TX_FRAUD")
    assert found.fields["CUSTOMER_ID"] == "merchant_id"
    assert "amount" not in found.fields.values()
    assert "TERMINAL_ID" not in found.fields
    assert "TX_FRAUD" not in found.guessed


def test_our_own_names_need_no_guess_and_no_column_is_taken_twice():
    found = guess(("transaction_id", "card_id", "amount", "timestamp", "merchant_id", "currency", "id", "is_fraud"))
    assert found.fields == {}
    assert found.guessed == {"is_fraud": "label"}
    assert guess(("amount_x", "when")).label is None
