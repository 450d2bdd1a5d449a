"""Each image starts read-only, as nobody, without a shell and without any network, and answers on PORT.

make images && make test-images
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.images.containers import PORT, USER, container, docker, get, image, inspect

ROOT = Path(__file__).parents[3]
FUNCTIONS = ("scorer", "feature-updater", "shadow-scorer", "train", "archiver", "drift", "promote")
ALL = (*FUNCTIONS, "producer", "dispatcher", "backing")
OTHERS = {
    "scorer": ("xgboost", "mlflow", "duckdb", "deltalake", "evidently", "pandas", "boto3", "aiohttp"),
    "feature-updater": ("confluent_kafka", "onnxruntime", "numpy", "boto3"),
    "shadow-scorer": ("redis", "xgboost", "mlflow", "pandas", "fastapi"),
    "producer": ("onnxruntime", "redis", "mlflow", "fastapi"),
}


@pytest.mark.parametrize("target", ALL)
def test_what_an_image_says_of_itself(target: str) -> None:
    config = inspect(image(target))["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] in (None, [])
    assert config["Cmd"][0] == "python"
    labels = config["Labels"]
    assert re.fullmatch(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", labels["org.opencontainers.image.created"])


@pytest.mark.parametrize("target", FUNCTIONS)
def test_a_function_starts_alone_and_restricted(target: str) -> None:
    with container(target) as function:
        function.start()
        status, body = get(function, "/health/liveness")
        assert status == 200, body
        assert function.python("import os; print(os.getuid(), os.getgid())") == f"{USER} {USER}"
        assert function.python("print(open('/proc/1/cmdline').read().split(chr(0))[0])").endswith("python")
        with pytest.raises(RuntimeError, match="Read-only file system"):
            function.python("open('/app/x', 'w')")
        written = function.python("import tempfile; print(tempfile.NamedTemporaryFile().name)")
        assert written.startswith("/var/lib/fraud/")
        interfaces = function.python(
            "import socket; print([name for _, name in socket.if_nameindex() if name != 'lo'])"
        )
        addresses = function.python("print(open('/proc/net/route').read().count(chr(10)) - 1)")
        assert interfaces == "[]" or addresses == "0"


@pytest.mark.parametrize("target", FUNCTIONS)
def test_a_function_ends_in_good_time(target: str) -> None:
    with container(target) as function:
        function.start()
        get(function, "/health/liveness")
        docker("stop", "--time", "20", function.identity)
        assert inspect(function.identity)["State"]["ExitCode"] == 0, function.logs()


@pytest.mark.parametrize("target", OTHERS)
def test_an_image_holds_its_own_functions_packages_alone(target: str) -> None:
    code = f"import importlib.util as u; print([n for n in {OTHERS[target]!r} if u.find_spec(n)])"
    with container(target, command=("python", "-c", code)) as one:
        docker("start", "--attach", one.identity)
        assert one.logs().strip() == "[]"


@pytest.mark.parametrize("target", FUNCTIONS)
def test_an_image_holds_its_own_functions_code_alone(target: str) -> None:
    code = "import os; print(sorted(n for n in os.listdir('functions') if os.path.isdir('functions/' + n)))"
    with container(target, command=("python", "-c", code)) as one:
        docker("start", "--attach", one.identity)
        assert one.logs().strip() == repr([target.replace("-", "_")])


def test_the_producer_serves_its_probes() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092", "SCORER_URL": "http://127.0.0.1:8000"}
    with container("producer", environment=environment) as producer:
        producer.start()
        assert get(producer, "/health/liveness")[0] == 200


def test_the_dispatcher_reads_the_manifests_that_it_holds() -> None:
    command = ["python", "-m", "shared.emulator.delivery", "--manifests", "knative/base", "--targets", "/none"]
    command += ["--home", "/var/lib/fraud", "--port", str(PORT), "--kafka-only"]
    with container("dispatcher", command=command) as dispatcher:
        dispatcher.start()
        status, body = get(dispatcher, "/status")
        assert status == 200
        assert '"train-drift"' in body


@pytest.mark.parametrize(
    "command",
    [
        ("java", "-cp", "/opt/kafka/libs/*", "kafka.Kafka", "--version"),
        ("valkey-server", "--version"),
        ("weed", "version"),
        ("python", "-c", "import shared.backing.mlflow_server"),
    ],
    ids=lambda command: str(command[0]),
)
def test_the_backing_image_holds_each_program(command: tuple[str, ...]) -> None:
    with container("backing", command=command) as program:
        docker("start", "--attach", program.identity)
        assert inspect(program.identity)["State"]["ExitCode"] == 0, program.logs()
