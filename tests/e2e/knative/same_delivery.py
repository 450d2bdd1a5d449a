"""The same events delivered by the cluster and by the emulator, compared event by event.

The cluster's deliverers are a Broker with a Trigger and an InMemoryChannel with a Subscription, the emulator's is its
dispatcher with a KafkaSource of the same delivery block over a topic in the cluster's Kafka; all post to one receiver
in a pod, which answers as each event asks (`receiver.py`). Equal must be: what each attempt was answered, and so which
answers are retried and how often; the verdict; the waits, within `TOLERANCE_SECONDS`; the dead letters with their error
attributes; the headers and the body that the receiver saw. These differences are Knative's own and are not counted:

- Waits: a channel counts retries from 0 (`RetryConfigFromDeliverySpec` in knative.dev/eventing v0.42,
  pkg/kncloudevents/retries.go, called by go-retryablehttp), a KafkaSource from 1 (`computeRetryPolicy` in
  eventing-kafka-broker, WebClientCloudEventSender). Its n-th wait is compared with the channel's one after that.
- A Broker's dead letter of an event without answer has no error attributes: they come from its filter's answer
  (`dispatchExecutionInfoTransformers` in pkg/kncloudevents/event_dispatcher.go). A Channel's has them, and so has the
  emulator's; a KafkaSource would name the destination alone (`errorTransform`, RecordDispatcherImpl).
- Without an answer the words of `knativeerrordata` are each client's own behind `dispatch error: `.
- A Broker adds the attribute `knativearrivaltime` (pkg/broker/ingress), and each HTTP client its `HOP_HEADERS`.
- The emulator's dead letter is the record as it was, an event in one document too, so that it can be sent again.
- Order: a channel delivers everything at once. Only the emulator is asked to keep the order of an ordered source.
"""

from __future__ import annotations

import base64
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from shared.backing.ports import free_ports
from tests.e2e.knative.cluster import KAFKA_PORT, Cluster, Object, Refused, until
from tests.e2e.knative.same_pods import SPACE, apply, own_namespace, receiver
from tests.e2e.running import SILENT
from tests.support.delivery.dispatcher import DispatcherProcess, kafka_sink, kafka_source, service

DELIVERERS = ("broker", "channel", "emulator")
DATA = {"n": 1}
STRUCTURED = "application/cloudevents+json"
POLICIES = ("linear", "exponential")
RETRIES = 3
DELAY_SECONDS, TIMEOUT_SECONDS = 0.4, 1.0
TOLERANCE_SECONDS = 0.3  # a busy machine; the waits of neighbouring retries differ by 0.4 or more
STATUSES = (
    "200", "202", "500-500-200", "404-200", "408-200", "409-200", "429-200", "300", "400", "413", "422", "425",
    "501-200", "503", "silent-200", "silent", "503-429-200/5", "500-200/json", "400/json",
)  # fmt: skip
"""What the events ask to be answered, and behind the slash the Retry-After, or that the event comes in one document."""
ORDERED = ("500-500-200", "200", "503", "200")
HOP_HEADERS = frozenset(("host", "content-length", "user-agent", "accept-encoding", "traceparent"))
ERRORS = ("ce-knativeerrorcode", "ce-knativeerrordest", "ce-knativeerrordata")
Letters = dict[tuple[str, str], dict[str, str]]
"""Headers of a dead letter by the path that it could not be delivered to, and its event."""
PATIENCE_SECONDS, QUIET_SECONDS = 60.0, 3.0


@dataclass(frozen=True)
class Outcome:
    """What became of one event; `waits` from an answer, or the end of the timeout, to the next attempt."""

    answers: list[str]
    waits: list[float]
    headers: dict[str, str]
    body: str
    dead: dict[str, str] | None


def compare_delivery(cluster: Cluster) -> bool:
    """Deliver, print, compare; returns whether nothing differed. Left out where the cluster lacks what delivers."""
    missing = [one for one, there in _needed(cluster).items() if not there]
    if missing:
        print(f"delivery: LEFT OUT, this cluster has no {' and no '.join(missing)}")
        return True
    with own_namespace(cluster), receiver(cluster) as address:
        apply(cluster, *_senders())
        kinds = "brokers.eventing,triggers.eventing,inmemorychannels.messaging,subscriptions.messaging"
        cluster.kubectl("wait", "--for=condition=Ready", "--timeout=90s", kinds, "--all", namespace=SPACE)
        attempts, letters = _deliver(cluster, address)
    differences = Counter(_out_of_order(attempts))
    print(f"{'event':<26} {'verdict':<10} {'answers':<28} waits in s of {', '.join(DELIVERERS)}")
    for policy, statuses in product(POLICIES, STATUSES):
        found = {name: _outcome(attempts, letters, _path(name, policy), statuses) for name in DELIVERERS}
        _show(f"{policy} {statuses}", found)
        for name in DELIVERERS[:-1]:
            told = _differences(name, found[name], found["emulator"])
            differences.update(f"{name} and emulator: {difference}" for difference in told)
    for difference, count in differences.items():
        print(f"DIFFERS ({count} events): {difference}")
    print(f"delivery: {len(POLICIES) * len(STATUSES)} events by each of {', '.join(DELIVERERS)}: "
          f"{len(differences)} differences")  # fmt: skip
    return not differences


def _needed(cluster: Cluster) -> dict[str, bool]:
    deployments = cluster.get("/apis/apps/v1/namespaces/knative-eventing/deployments")["items"]
    return {
        "InMemoryChannel": cluster.knows("messaging.knative.dev", "v1", "InMemoryChannel"),
        "MTChannelBasedBroker": any(one["metadata"]["name"] == "mt-broker-controller" for one in deployments),
    }


def _deliver(cluster: Cluster, address: str) -> tuple[list[Object], Letters]:
    """Hand all events to all deliverers; returns the attempts and the dead letters when all are settled."""
    wanted = {(_path(name, policy), statuses) for name, policy, statuses in product(DELIVERERS, POLICIES, STATUSES)}
    wanted |= {(_path("emulator", "ordered"), event) for event in _ordered_events()}
    with _emulated(cluster, address) as (publish, dead_letters):
        for event, statuses in _ordered_events().items():
            publish("ordered", statuses, event)
        with _posting(cluster) as post:
            for policy, statuses in product(POLICIES, STATUSES):
                publish(policy, statuses, statuses)
                post(policy, statuses)

        def settled() -> bool:
            taken = {(one["path"].removeprefix("/dead"), one["event"]) for one in _attempts(address) if _took(one)}
            return wanted <= taken | dead_letters().keys()

        until(settled, PATIENCE_SECONDS, "every event to be delivered or a dead letter")
        time.sleep(QUIET_SECONDS)  # for an attempt that should not be
        attempts, letters = _attempts(address), dead_letters()
    for one in attempts:
        if one["path"].startswith("/dead/"):
            letters[one["path"].removeprefix("/dead"), one["event"]] = one["headers"]
    return attempts, letters


def _took(attempt: Object) -> bool:
    return str(attempt["status"]) < "300"


def _ordered_events() -> dict[str, str]:
    return {f"{number}:{statuses}": statuses for number, statuses in enumerate(ORDERED)}


def _path(deliverer: str, policy: str) -> str:
    return f"/{deliverer}/{policy}"


def _attempts(address: str) -> list[Object]:
    return list(urllib3.request("GET", address, timeout=10.0).json())


def _delivery(policy: str) -> Object:
    delay, timeout = f"PT{DELAY_SECONDS}S", f"PT{TIMEOUT_SECONDS:g}S"
    return {"retry": RETRIES, "backoffPolicy": policy, "backoffDelay": delay, "timeout": timeout}


def _senders() -> list[Object]:
    """For each policy a Broker with a Trigger and a channel with a Subscription."""
    objects = []
    for policy in POLICIES:

        def made(version: str, kind: str, policy: str = policy, **spec: Any) -> Object:
            metadata: Object = {"name": policy, "namespace": SPACE}
            if kind == "Broker":
                metadata["annotations"] = {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"}
            return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}

        def ends(deliverer: str, policy: str = policy) -> Object:
            service = {"apiVersion": "v1", "kind": "Service", "name": "receiver"}
            dead = {"ref": service, "uri": f"/dead{_path(deliverer, policy)}"}
            return {
                "subscriber": {"ref": service, "uri": _path(deliverer, policy)},
                "delivery": _delivery(policy) | {"deadLetterSink": dead},
            }

        channel = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "name": policy}
        objects += [
            made("eventing.knative.dev/v1", "Broker"),
            made("eventing.knative.dev/v1", "Trigger", broker=policy, **ends("broker")),
            made("messaging.knative.dev/v1", "InMemoryChannel"),
            made("messaging.knative.dev/v1", "Subscription", channel=channel, **ends("channel")),
        ]
    return objects


def _attributes(statuses: str, event: str) -> dict[str, str]:
    wanted, _, special = statuses.partition("/")
    attributes = {"specversion": "1.0", "id": event, "type": "dev.fraud.same", "source": "/same", "subject": "card-1"}
    attributes |= {"time": "2026-01-15T12:30:45.25Z", "statuses": wanted}
    return attributes | ({"retryafter": special} if special.isdecimal() else {})


def _written(statuses: str, event: str, prefix: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event, whose attributes are headers with that prefix or part of the body."""
    attributes: Object = _attributes(statuses, event)
    if statuses.endswith("/json"):
        document = attributes | {"datacontenttype": "application/json", "data": DATA}
        return {"content-type": STRUCTURED}, orjson.dumps(document)
    headers = {f"{prefix}{name}": value for name, value in attributes.items()}
    return headers | {"content-type": "application/json"}, orjson.dumps(DATA)


@contextmanager
def _posting(cluster: Cluster) -> Iterator[Callable[[str, str], None]]:
    """Hand events to the cluster's Brokers and channels."""
    system = "knative-eventing"
    with (
        cluster.forwarded("svc/broker-ingress", 80, namespace=system) as broker,
        cluster.forwarded("svc/imc-dispatcher", 80, namespace=system) as channel,
        urllib3.PoolManager(timeout=10.0, retries=False) as http,
    ):

        def post(policy: str, statuses: str) -> None:
            headers, body = _written(statuses, statuses, "ce-")
            for port, host, path in (
                (broker, f"broker-ingress.{system}.svc.cluster.local", f"/{SPACE}/{policy}"),
                (channel, f"{policy}-kn-channel.{SPACE}.svc.cluster.local", "/"),
            ):
                answer = http.request(
                    "POST", f"http://127.0.0.1:{port}{path}", body=body, headers=headers | {"host": host}
                )
                if answer.status != 202:
                    raise Refused(f"{host}{path} answered {statuses} with {answer.status}: {answer.data!r}")

        yield post


@contextmanager
def _emulated(
    cluster: Cluster, address: str
) -> Iterator[tuple[Callable[[str, str, str], None], Callable[[], Letters]]]:
    """Run the emulator's dispatcher over topics of its own; gives how to publish, and its dead letters."""
    mark = f"same-{time.time_ns():x}"
    dead = f"{mark}.dead"
    topics = {policy: f"{mark}.{policy}" for policy in (*POLICIES, "ordered")}
    with ExitStack() as stack:
        stack.enter_context(cluster.forwarded("svc/kafka", KAFKA_PORT, KAFKA_PORT))
        broker = f"127.0.0.1:{KAFKA_PORT}"
        admin = AdminClient({"bootstrap.servers": broker, "logger": SILENT})
        for made in admin.create_topics([NewTopic(name, 1) for name in (*topics.values(), dead)]).values():
            made.result(30)
        stack.callback(_remove, admin, [*topics.values(), dead], [*topics.values()])
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        objects = (service("receiver"), kafka_sink(dead), *(_source(*names) for names in topics.items()))
        [port] = free_ports(1)
        stack.enter_context(DispatcherProcess(home, port, broker, {"receiver": address}, *objects))
        producer = Producer({"bootstrap.servers": broker, "logger": SILENT})

        def publish(policy: str, statuses: str, event: str) -> None:
            headers, body = _written(statuses, event, "ce_")
            producer.produce(topics[policy], body, headers=list(headers.items()))
            producer.flush(10)

        def dead_letters() -> Letters:
            letters: Letters = {}
            for record in _read(broker, dead):
                named = {name.replace("ce_", "ce-", 1): value.decode() for name, value in record.headers() or ()}
                event = named.get("ce-id") or orjson.loads(record.value())["id"]
                letters[_path("emulator", named["ce-originalsource"]), event] = named
            return letters

        yield publish, dead_letters


def _source(policy: str, topic: str) -> Object:
    ordered = policy == "ordered"
    sink = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "receiver"}}
    source = kafka_source(
        policy,
        topic,
        consumerGroup=topic,
        ordering="ordered" if ordered else "unordered",
        sink=sink | {"uri": _path("emulator", policy)},
        delivery=_delivery("linear" if ordered else policy),
    )
    source["metadata"]["namespace"] = SPACE
    return source


def _read(broker: str, topic: str) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": topic, "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
        found: list[Any] = []
        while len(found) < end:
            found += [one for one in consumer.consume(100, 0.2) if one.error() is None]
        return found
    finally:
        consumer.close()


def _remove(admin: AdminClient, topics: list[str], groups: list[str]) -> None:
    for removed in (*admin.delete_topics(topics).values(), *admin.delete_consumer_groups(groups).values()):
        removed.result(30)


def _outcome(attempts: list[Object], letters: Letters, path: str, event: str) -> Outcome:
    ours = [one for one in attempts if one["path"] == path and one["event"] == event]
    ends = [one.get("answered", one["came"] + TIMEOUT_SECONDS) for one in ours]
    letter = letters.get((path, event))
    seen = {name: value for name, value in ours[0]["headers"].items() if name not in HOP_HEADERS}
    return Outcome(
        answers=[one["status"] for one in ours],
        waits=[later["came"] - end for later, end in zip(ours[1:], ends, strict=False)],
        headers=seen,
        body=ours[0]["body"],
        dead=None if letter is None else {name: letter[name] for name in ERRORS if name in letter},
    )


def _differences(name: str, theirs: Outcome, emulated: Outcome) -> list[str]:
    """What differs between a deliverer of the cluster and the emulator, for one event."""
    told = []
    if theirs.answers != emulated.answers:
        told.append(f"attempts answered {theirs.answers} and {emulated.answers}")
    if (theirs.dead is None) != (emulated.dead is None):
        told.append(f"dead letter {theirs.dead} and {emulated.dead}")
    late = [
        f"{there:.2f} and {here:.2f}"
        for there, here in zip(theirs.waits[1:], emulated.waits[:-1], strict=False)
        if abs(there - here) > TOLERANCE_SECONDS
    ]
    if late:
        told.append(f"waits of {', '.join(late)} s")
    if theirs.dead and emulated.dead and not (name == "broker" and theirs.answers[-1] == "silent"):
        told += [
            f"{key} {theirs.dead.get(key)!r} and {emulated.dead.get(key)!r}"
            for key in ERRORS
            if _meaning(key, theirs.dead.get(key)) != _meaning(key, emulated.dead.get(key))
        ]
    ours = theirs.headers.keys() | emulated.headers.keys()
    told += [
        f"header {key} {theirs.headers.get(key)!r} and {emulated.headers.get(key)!r}"
        for key in sorted(ours - {"ce-knativearrivaltime"})
        if theirs.headers.get(key) != emulated.headers.get(key)
    ]
    if theirs.body != emulated.body:
        told.append(f"body {theirs.body!r} and {emulated.body!r}")
    return told


def _meaning(key: str, value: str | None) -> str | None:
    """An error attribute without what each deliverer has of its own: its address, and its words for no answer."""
    if value is None or key == "ce-knativeerrorcode":
        return value
    if key == "ce-knativeerrordest":
        return urlsplit(value).path.rpartition("/")[2]
    data = base64.b64decode(value).decode()
    return "dispatch error: " if data.startswith("dispatch error: ") else data


def _out_of_order(attempts: list[Object]) -> list[str]:
    """The emulator's own order: an ordered source begins an event when the one before is settled, retries included."""
    ours = [one for one in attempts if one["path"] == _path("emulator", "ordered")]
    tries = {"500-500-200": 3, "200": 1, "503": 1 + RETRIES}
    expected = [event for event, statuses in _ordered_events().items() for _ in range(tries[statuses])]
    seen = [one["event"] for one in ours]
    overlapping = [f"{one['event']} before an answer" for last, one in pairwise(ours) if one["came"] < last["answered"]]
    print(f"ordered source: {seen}")
    return overlapping + ([] if seen == expected else [f"ordered source: {seen}, not {expected}"])


def _show(event: str, found: dict[str, Outcome]) -> None:
    """A line of the table; where verdicts or answers differ, those of the emulator."""
    outcome = found["emulator"]
    verdict = "delivered" if outcome.dead is None else f"dead {outcome.dead.get(ERRORS[0], '')}"
    waits = " | ".join(" ".join(f"{wait:.2f}" for wait in one.waits) for one in found.values())
    print(f"{event:<26} {verdict:<10} {' '.join(outcome.answers):<28} {waits}", flush=True)
