"""Plays the triggers of template.yaml against the functions, on this machine or wherever AWS_ENDPOINT_URL points.

python -m localstack.pump --parameter ImageRepository=- --parameter ImageTag=- --parameter LakeBucket=fraud-lake ...

Each function runs under `awslambdaric` in a process of its own (`--invoke runtime-interface`), or is invoked by its
name at an endpoint (`--invoke endpoint --prefix STACK-`). Secrets and parameters are read at the endpoint too;
`localstack/init` makes them. The pump ends with Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import boto3
import orjson
from botocore.exceptions import BotoCoreError, ClientError

from localstack.pump.http_server import HttpApi
from localstack.pump.invokers import Endpoint, FunctionError, Invoker, RuntimeInterface
from localstack.pump.kafka_trigger import KafkaPoller
from localstack.pump.schedules import ScheduleRunner
from localstack.pump.template import Function, Template, TemplateError

_log = logging.getLogger("localstack.pump")
PROJECT = Path(__file__).resolve().parents[2]


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _arguments(command_line: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m localstack.pump", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--template", type=Path, default=PROJECT / "template.yaml")
    parser.add_argument("--invoke", choices=["runtime-interface", "endpoint"], default="runtime-interface")
    parser.add_argument("--prefix", default="", help="what the deployed functions' names begin with")
    parser.add_argument("--function", action="append", help="only these (default: all of the template)")
    parser.add_argument("--parameter", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--set", type=_pair, action="append", default=[], metavar="NAME=VALUE", dest="values",
        help="variable of all functions that wins over the template's",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8080, help="port of the HTTP API (%(default)s)")
    parser.add_argument("--retry-seconds", type=float, default=60.0, help="pause before a failed tick is retried")
    return parser.parse_args(command_line)


@cache
def _secret(identifier: str) -> Mapping[str, str]:
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=identifier)
    secret: Mapping[str, str] = orjson.loads(answer["SecretString"])
    return secret


@cache
def _parameter(name: str) -> str:
    return str(boto3.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def template_of(path: Path, given: Mapping[str, str]) -> Template:
    """The template with secrets and parameters of the endpoint that the environment names."""
    return Template(Template.load(path), given, lambda identifier, key: _secret(identifier)[key], _parameter)


def _invoker(function: Function, template: Template, arguments: argparse.Namespace) -> Invoker:
    if arguments.invoke == "endpoint":
        return Endpoint(arguments.prefix + function.name)
    environment = template.environment(function) | dict(arguments.values)
    return RuntimeInterface(function.handler, environment, PROJECT, function.timeout_seconds)


def _triggers(
    function: Function, invoker: Invoker, bootstrap_servers: str, arguments: argparse.Namespace, stop: threading.Event
) -> list[Callable[[threading.Event], None]]:
    def failed(error: FunctionError) -> None:
        _log.error("%s: an invocation failed for good: %s", function.name, error)

    pollers = [KafkaPoller(mapping, invoker, bootstrap_servers, stop.wait).run for mapping in function.kafka]
    ticking = [ScheduleRunner(one, invoker, arguments.retry_seconds, failed).run for one in function.schedules]
    return [*pollers, *ticking]


def main(command_line: list[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; 1 when the template cannot be played."""
    arguments = _arguments(command_line)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        template = template_of(arguments.template, dict(arguments.parameter))
        functions = template.functions()
        names = arguments.function or [*functions]
        values = dict(arguments.values)
        with ExitStack() as closing:
            threads = []
            for name in names:
                invoker = _invoker(functions[name], template, arguments)
                closing.callback(invoker.close)
                if functions[name].http:
                    api = HttpApi(invoker, arguments.port)
                    closing.callback(api.close)
                    _log.info("%s answers at %s", name, api.url)
                kafka = values.get("KAFKA_BOOTSTRAP_SERVERS") or template.resolve({"Ref": "KafkaBootstrapServers"})
                runs = _triggers(functions[name], invoker, kafka, arguments, stop)
                threads += [threading.Thread(target=run, args=(stop,), name=name) for run in runs]
            for thread in threads:
                thread.start()
            stop.wait()
            for thread in threads:
                thread.join()
    except (TemplateError, KeyError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
