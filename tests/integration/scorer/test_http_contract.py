from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from shared.contracts.decision import Decision, DecisionDetails
from shared.features.catalogue import CATALOGUE
from tests.support.servers import ROOT, FunctionProcess
from tests.support.transactions import body, wire

CARD = "5555 5555 5555 4444"
SECRET = "5555"


def readme_request() -> tuple[str, bytes]:
    """Path and body of the first curl command of the README."""
    text = (ROOT / "README.md").read_text()
    found = re.search(
        r"curl -s 'http://127\.0\.0\.1:8000(\S+)' -H 'content-type: application/json' -d '(.*?)'", text, re.DOTALL
    )
    assert found is not None
    return found[1], found[2].encode()


def test_the_readmes_request_is_answered_with_every_field(scorer: FunctionProcess) -> None:
    path, data = readme_request()
    answer = scorer.post(path, data)
    assert answer.status == 200
    details = DecisionDetails.model_validate_json(answer.data)
    assert set(answer.json()) == set(DecisionDetails.model_fields) - {"control"}
    assert list(details.features) == list(CATALOGUE.names)
    unknown = {name for name, value in details.features.items() if value is None}
    assert unknown <= {feature.name for feature in CATALOGUE if feature.null_when}  # a first transaction has no others
    assert not details.degraded
    assert details.model_version == "7"
    assert "total;dur=" in answer.headers["server-timing"]


def test_features_come_from_the_store(scorer: FunctionProcess) -> None:
    answers = [
        scorer.post("/v1/score?details=true", body(transaction_id=f"tx-{number}", card_id="burst")).json()
        for number in (0, 1, 2, 3, 4, 4)
    ]
    assert [answer["features"]["txn_count_10m"] for answer in answers] == [1, 2, 3, 4, 5, 5]
    assert [answer["decision"] for answer in answers] == ["approve"] * 4 + ["review"] * 2
    assert answers[-1]["decision_id"] == answers[-2]["decision_id"]


HOSTILE = [
    ("a raw card number", body(card_id=CARD), "card_id", SECRET),
    ("a card number elsewhere", body(city=f"paid with {CARD}"), "city", SECRET),
    ("a card number in a number", body(amount=5555555555554444), "amount", SECRET),
    ("a card number as a field", body(**{CARD: "x"}), "[card number]", SECRET),
    ("a bad amount", body(amount="12.34567"), "amount", "34567"),
    ("an unknown field", body(cvv="98761"), "cvv", "98761"),
    ("a naive timestamp", body(timestamp="2026-01-15T12:34:56.789"), "timestamp", "56.789"),
    ("1 MB of junk", b"z" * 1_000_000, "document", "zzz"),
    ("1 MB of JSON", body(city="z" * 1_000_000), "document", "zzz"),
    ("invalid UTF-8", body(city="Lisbon").replace(b"Lisbon", b"Li\xffsb\xfen"), "document", "sb"),
    ("a lone surrogate", body(city="Lisbon").replace(b"Lisbon", b"Lis\\ud800bon"), "document", "bon"),
    ("no JSON", b"hello there", "document", "hello"),
    ("nothing", b"", "document", "\0"),
]


@pytest.mark.parametrize(("data", "field", "secret"), [one[1:] for one in HOSTILE], ids=[one[0] for one in HOSTILE])
def test_hostile_requests_get_a_problem_that_names_the_field_and_nothing_of_the_value(
    scorer: FunctionProcess, data: bytes, field: str, secret: str
) -> None:
    before = len(scorer.logged())
    answer = scorer.post("/v1/score", data)
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status
    assert problem["detail"].startswith(f"{field}: ")
    assert secret not in answer.data.decode()
    assert secret not in scorer.logged()[before:]
    assert scorer.get("/health/readiness").status == 200


def test_a_caller_who_sends_half_a_request_harms_nobody(scorer: FunctionProcess) -> None:
    host, port = scorer.url.removeprefix("http://").split(":")
    for sent in (b"", body()[:30]):
        with socket.create_connection((host, int(port)), 5) as connection:
            head = f"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body())}\r\n\r\n".encode()
            connection.sendall(head + sent)
    assert scorer.post("/v1/score", body()).status == 200
    assert "Traceback" not in scorer.logged()


@pytest.fixture(scope="module")
def document(scorer: FunctionProcess) -> Any:
    return scorer.json("/openapi.json")


class TestOpenApi:
    def test_examples_work_when_pasted(self, scorer: FunctionProcess, document: Any) -> None:
        tried = 0
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                for media in operation.get("requestBody", {}).get("content", {}).values():
                    schema = media["schema"]
                    for example in [media.get("example"), *schema.get("examples", [])]:
                        if example is None:
                            continue
                        tried += 1
                        answer = scorer.http.request(method.upper(), f"{scorer.url}{path}", json=example)
                        assert answer.status == 200, answer.data
        assert tried >= 2

    def test_every_reference_in_it_leads_somewhere(self, document: Any) -> None:
        for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
            assert reference.startswith("#/")
            found = document
            for step in reference[2:].split("/"):
                assert step in found, reference
                found = found[step]

    def test_answers_are_what_it_declares(self, scorer: FunctionProcess, document: Any) -> None:
        for path, data in {
            "/v1/score": body(),
            "/v1/score?details=true": body(),
            "/v1/score/batch": orjson.dumps({"transactions": [wire(), wire(transaction_id="tx-2")]}),
        }.items():
            responses = document["paths"][path.split("?")[0]]["post"]["responses"]
            good = responses["200"]["content"]["application/json"]["schema"]
            answer = scorer.post(path, data)
            jsonschema.validate(answer.json(), {**good, "components": document["components"]})
            bad = responses["422"]["content"]["application/problem+json"]["schema"]
            answer = scorer.post(path, b"{}")
            jsonschema.validate(answer.json(), {**bad, "components": document["components"]})

    def test_it_describes_every_field_and_feature(self, document: Any) -> None:
        schemas = document["components"]["schemas"]
        assert set(schemas["Decision"]["properties"]) == set(Decision.model_fields)
        assert all("description" in one for one in schemas["Transaction"]["properties"].values())
        assert set(schemas["DecisionDetails"]["properties"]["features"]["properties"]) == set(CATALOGUE.names)

    def test_the_documents_page_is_served(self, scorer: FunctionProcess) -> None:
        answer = scorer.get("/docs")
        assert answer.status == 200
        assert b"/openapi.json" in answer.data

    def test_schemathesis_finds_no_5xx_and_nothing_undocumented(self, scorer: FunctionProcess, tmp_path: Path) -> None:
        program = Path(sys.executable).with_name("schemathesis")
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
        run = subprocess.run(
            [program, "run", f"{scorer.url}/openapi.json", "--checks", checks, "--phases", "examples,coverage,fuzzing",
             "--max-examples", "40", "--max-time", "15", "--workers", "1", "--seed", "1", "--continue-on-failure",
             "--no-color", "--generation-database", "none", "--suppress-health-check", "all"],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-6_000:] + run.stderr[-2_000:]
        assert "Traceback" not in scorer.logged()
