"""Plain, TLS and SASL connections, as the Kafka client itself takes them."""

import pytest
from confluent_kafka import Producer
from pydantic import ValidationError

from shared.bus.connection import connection
from shared.bus.publisher import producer_settings

VARIABLES = (
    "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD",
    "KAFKA_SSL_CA_LOCATION",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_variables_a_connection_is_plain() -> None:
    assert connection("broker:9092") == {"bootstrap.servers": "broker:9092"}


def test_sasl_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "fraud")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "secret")
    assert connection("broker:9096") == {
        "bootstrap.servers": "broker:9096",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "probe",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "fraud",
        "sasl.password": "secret",
    }
    assert Producer(producer_settings("broker:9096", 10)) is not None  # librdkafka knows every name and value


def test_tls_with_authorities_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_CA_LOCATION", "/etc/kafka/ca.crt")
    assert connection("broker:9094")["ssl.ca.location"] == "/etc/kafka/ca.crt"
    assert "sasl.mechanism" not in connection("broker:9094")


@pytest.mark.parametrize(
    ("name", "value"),
    [("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"), ("KAFKA_SECURITY_PROTOCOL", "TLS"), ("KAFKA_SASL_MECHANISM", "GSSAPI")],
)
def test_half_a_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        connection("broker:9096")
