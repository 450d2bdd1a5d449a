"""`fraud load`: send transactions at a rate and say how fast they were answered."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from shared.cli.output import console, fail, print_json
from shared.cli.stack_state import StackNotRunning, running_stack
from shared.loadgen.connection import Target
from shared.loadgen.recorder import Second
from shared.loadgen.replicas import ReplicaWatch
from shared.loadgen.report import LoadReport
from shared.loadgen.requests import TransactionRequests
from shared.loadgen.run import LoadPlan, generate, run
from shared.loadgen.traffic import simulated_transactions

_SERVICE = "scorer"
_DISTINCT_TRANSACTIONS = 20_000
_CLOSED_LOOP_CONNECTIONS = 64
_OPEN_LOOP_CONNECTIONS = 256
_SCALE_DOWN_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 1.0


def command(  # noqa: PLR0913 - the options of a command line
    rate: Annotated[
        str, typer.Option(help="Transactions per second (open loop), or 'max': as fast as they are answered.")
    ] = "300",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to send.")] = 30.0,
    connections: Annotated[
        int | None,
        typer.Option(min=1, help="Bound on connections (256); with --rate max the number of them (64)."),
    ] = None,
    arrivals: Annotated[
        Literal["fixed", "poisson"], typer.Option(help="Even gaps, or those of independent callers.")
    ] = "fixed",
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds after which a request is given up.")] = 10.0,
    url: Annotated[str | None, typer.Option(help="Scorer to load; default: that of the running system.")] = None,
    admin_url: Annotated[
        str | None, typer.Option(help="Admin interface that knows the replicas; default: the running system's.")
    ] = None,
    *,
    wait_scale_down: Annotated[
        bool, typer.Option("--wait-scale-down", help="Afterwards wait until replicas are back at their minimum.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Send realistic transactions and report latencies from the intended send time.

    A rate is an open loop: requests are due on a schedule that never waits for answers, so a stall of the server is
    charged to every request that was due in it. Exit status 1 when any request failed or could not be sent.

    Example: fraud load --rate 300 --seconds 30
    """
    target_rate = _rate(rate)
    scorer, admin = _addresses(url, admin_url)
    plan = LoadPlan(
        target=_target(scorer),
        seconds=seconds,
        rate=target_rate,
        arrivals=arrivals,
        connections=connections or (_OPEN_LOOP_CONNECTIONS if target_rate else _CLOSED_LOOP_CONNECTIONS),
        timeout_seconds=timeout,
        seed=secrets.randbits(32),
    )
    watch = ReplicaWatch(admin, _SERVICE) if admin else None
    report = _measure(plan, watch)
    after, fell_back = _scale_down(watch, report) if watch and wait_scale_down else ([], True)
    if as_json:
        print_json(report.document() | {"url": scorer, "replicas_after": after})
    else:
        _print(report, after)
    if report.failed:
        fail(f"{report.failed:,} of {report.requests:,} requests failed: {_causes(report)}")
    if not fell_back:
        fail(f"replicas did not fall back within {_SCALE_DOWN_PATIENCE_SECONDS:g} s")


def _rate(text: str) -> float | None:
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e7:
        raise typer.BadParameter("must be a positive number of transactions per second, or 'max'", param_hint="--rate")
    return rate


def _target(url: str) -> Target:
    bare = urlsplit(url).path in ("", "/")
    try:
        return Target.parse(url.rstrip("/") + "/v1/score" if bare else url)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--url") from None


def _addresses(url: str | None, admin_url: str | None) -> tuple[str, str | None]:
    """Return the scorer's address and the admin interface's, which only the running system's own scorer has."""
    if url and admin_url:
        return url, admin_url
    try:
        stack = running_stack()
    except StackNotRunning:
        if url is None:
            raise
        return url, None
    if url is None or url.rstrip("/") == stack.scorer_url:
        return stack.scorer_url, admin_url or stack.admin_url
    return url, admin_url


def _measure(plan: LoadPlan, watch: ReplicaWatch | None) -> LoadReport:
    progress = console(stderr=True)
    progress.print(f"[dim]preparing {_DISTINCT_TRANSACTIONS:,} transactions[/dim]")
    transactions = simulated_transactions(_DISTINCT_TRANSACTIONS, seed=secrets.randbits(31))
    requests = TransactionRequests(plan.target, transactions)
    sys.stderr.write(_HEADING)
    try:
        return run(lambda: generate(plan, requests, watch=watch, on_second=_show))
    except OSError as error:
        fail(f"{plan.target.authority} can not be reached: {error}")


_HEADING = f"{'second':>6} {'answered':>9} {'failed':>7} {'p50 ms':>8} {'p99 ms':>8} {'waiting':>8} {'replicas':>8}\n"


def _show(second: Second) -> None:
    sys.stderr.write(
        f"{second.second:>6} {second.answered:>9,} {second.failed:>7,} {_figure(second.p50_ms):>8} "
        f"{_figure(second.p99_ms):>8} {second.in_flight:>8,} "
        f"{'-' if second.replicas is None else second.replicas:>8}\n"
    )


def _scale_down(watch: ReplicaWatch, report: LoadReport) -> tuple[list[tuple[float, int]], bool]:
    """Watch the replicas until they are back at their minimum.

    Returns:
        (Second since the start, replicas) of each change; whether they came back in time.
    """
    sys.stderr.write("waiting for replicas to fall back\n")
    before = report.replicas[0][1] if report.replicas else 1

    async def watching() -> tuple[list[tuple[float, int]], bool]:
        started = time.monotonic()
        changes: list[tuple[float, int]] = []
        seen = report.replicas[-1][1] if report.replicas else None
        while time.monotonic() - started < _SCALE_DOWN_PATIENCE_SECONDS:
            state = await watch.state()
            if state is not None:
                if state.replicas != seen:
                    seen = state.replicas
                    elapsed = report.seconds + time.monotonic() - started
                    changes.append((round(elapsed, 1), state.replicas))
                    sys.stderr.write(f"{elapsed:>6.0f} s  {state.replicas} replicas\n")
                if state.replicas <= (before if state.min_scale is None else state.min_scale):
                    return changes, True
            await asyncio.sleep(_POLL_SECONDS)
        return changes, False

    return run(watching)


def _print(report: LoadReport, after: list[tuple[float, int]]) -> None:
    out = console()
    due = "as fast as answered" if report.target_rate is None else f"{report.target_rate:,.0f}/s due"
    out.print(f"{report.mode} loop, {due}: {report.answered:,} answered in {report.seconds:g} s")
    out.print(f"[bold]{report.achieved_rate:,.1f}/s[/bold] on {report.connections} connections")
    latency = report.latency_ms
    out.print("latency ms  " + "  ".join(f"{name} {_figure(latency[name])}" for name in _SHOWN))
    if report.mode == "closed":
        out.print("[dim]closed loop: no request is due while the server stalls; for tail latency give a --rate[/dim]")
    own = f" ({report.late_by_generator:,} of them by this machine)" if report.late_by_generator else ""
    out.print(f"failed {report.failed:,}  degraded {report.degraded:,}")
    out.print(f"reconnected {report.reconnected:,}  late {report.late:,}{own}")
    changes = [*report.replicas, *after]
    if changes:
        out.print("replicas  " + ", ".join(f"{second:g} s: {count}" for second, count in changes))


_SHOWN = ("p50", "p90", "p99", "p99.9", "max")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _causes(report: LoadReport) -> str:
    errors = {f"status {status}": count for status, count in report.statuses.items() if int(status) >= 400}
    return ", ".join(f"{cause} {count:,}" for cause, count in {**report.failures, **errors}.items())
