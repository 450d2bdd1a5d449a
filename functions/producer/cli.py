"""`fraud produce`: send simulated card traffic with labelled fraud."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from functions.producer import terminal
from functions.producer.composition import produce
from functions.producer.settings import ProducerSettings
from functions.producer.timetable import OvertakesClock
from shared.cli.output import fail, print_json
from shared.cli.stack_state import running_stack
from shared.telemetry import logs


def command(  # noqa: PLR0913 - the options of a command line
    *,
    rate: Annotated[float, typer.Option(help="Transactions per second of wall clock.")] = 10.0,
    speedup: Annotated[float, typer.Option(help="Seconds of event time per second of wall clock.")] = 1.0,
    seed: Annotated[int, typer.Option(help="People, merchants and events.")] = 7,
    count: Annotated[int | None, typer.Option(help="Transactions to send; default: until Ctrl-C.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Event time of the first transaction, RFC 3339 with zone. Default: now; with --speedup so far back "
            "that the traffic ends at the present (30 days without --count)."
        ),
    ] = None,
    fraud_share: Annotated[float, typer.Option(help="Share of fraudulent transactions.")] = 0.009,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SHARE[@DAY]",
            help="A pattern's share of the fraud, and the day after the start on which it begins. Repeatable.",
        ),
    ] = None,
    label_delay: Annotated[
        str, typer.Option(help="Shortest and longest time to a fraud's label, in event time: 2d-14d, 30s-5m.")
    ] = "2d-14d",
    url: Annotated[str | None, typer.Option(help="Scorer; default: that of the running system.")] = None,
    kafka: Annotated[str | None, typer.Option(help="Broker, host:port; default: that of the running system.")] = None,
    score: Annotated[bool, typer.Option("--score/--no-score", help="Ask the scorer, or publish only.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
) -> None:
    """Send simulated card traffic with labelled fraud: to Kafka, and to the scorer for its decisions.

    The traffic is an open loop of a fixed schedule; the same arguments, --start included, give the same traffic.

    Example: fraud produce --rate 50 --count 3000 --pattern card_testing=0.5
    """
    scorer_url, broker = _addresses(url, kafka, score=score)
    settings = _settings(
        rate=rate,
        speedup=speedup,
        seed=seed,
        count=count,
        start=start,
        fraud_share=fraud_share,
        pattern=pattern or (),
        label_delay=label_delay,
        score=score,
        SCORER_URL=scorer_url,
        KAFKA_BOOTSTRAP_SERVERS=broker,
        PORT=None,  # the variable is meant for a program that a host runs
    )
    document = _send(settings)
    if as_json:
        print_json(document)
    else:
        sys.stdout.write(terminal.summary(document) + "\n")


def _send(settings: ProducerSettings) -> dict[str, Any]:
    """Send all, with a line of progress on a terminal; returns the summary."""
    logs.configure("producer", "WARNING")
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)  # the summary says what did not reach the broker
    line = terminal.ProgressLine() if sys.stderr.isatty() else None
    try:
        return asyncio.run(produce(settings, progress=line))
    except (OvertakesClock, OSError) as error:
        fail(str(error))
    finally:
        if line is not None:
            line.end()


def _addresses(url: str | None, kafka: str | None, *, score: bool) -> tuple[str, str]:
    """Return scorer and broker: as given, else by the environment, else those of the running system."""
    given = ProducerSettings()
    url = url or (given.scorer_url if "scorer_url" in given.model_fields_set else None)
    kafka = kafka or (given.kafka_bootstrap_servers if "kafka_bootstrap_servers" in given.model_fields_set else None)
    if kafka is not None and (url is not None or not score):
        return url or given.scorer_url, kafka
    stack = running_stack()
    return url or stack.scorer_url, kafka or stack.kafka


def _settings(**values: Any) -> ProducerSettings:
    try:
        return ProducerSettings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "--" + str(first["loc"][0]).lower().replace("_", "-")
        raise typer.BadParameter(first["msg"], param_hint=name) from None
