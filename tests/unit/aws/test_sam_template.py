"""The SAM template describes the same functions and triggers as the Knative manifests."""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any

import pytest
from cronsim import CronSim

from localstack.pump.schedules import ticks
from localstack.pump.template import Template, TemplateError
from shared.bus import topics
from tests.support.hosts import ON_LAMBDA, ROOT, image_targets, lambda_functions, manifests, template, template_document

RESOURCES: dict[str, Any] = template_document()["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == kind}


def test_every_function_is_there_with_a_handler_and_an_image() -> None:
    assert set(lambda_functions()) == set(ON_LAMBDA)
    for name, function in lambda_functions().items():
        module, _, attribute = function.handler.rpartition(".")
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        assert f"def {attribute}(" in (ROOT / spec.origin).read_text()
        assert f"functions.{name.replace('-', '_')}." in function.handler
    for resource in (one for one in RESOURCES.values() if one["Type"] == "AWS::Serverless::Function"):
        assert resource["Metadata"]["DockerBuildTarget"] in image_targets()
        assert resource["Properties"]["PackageType"] == "Image"
        assert resource["Properties"]["ImageConfig"]["EntryPoint"] == ["python", "-m", "awslambdaric"]


def test_an_image_for_lambda_starts_the_handler_that_the_template_names() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name, function in lambda_functions().items():
        stage = dockerfile.split(f"FROM {name} AS {name}-lambda\n")[1].split("\n\n")[0]
        assert f'CMD ["{function.handler}"]' in stage
        assert 'ENTRYPOINT ["python", "-m", "awslambdaric"]' in stage
        for variable in ("HOME", "TMPDIR", "MPLCONFIGDIR", "FRAUD_STATE_DIR"):  # nothing else is writable there
            assert f" {variable}=/tmp" in stage


def test_the_triggers_are_the_manifests_triggers() -> None:
    played = {
        (name, topic, mapping.group)
        for name, function in lambda_functions().items()
        for mapping in function.kafka
        for topic in mapping.topics
    }
    declared = {
        (source.spec.sink.ref.name, topic, source.spec.consumer_group)
        for source in manifests().kafka_sources.values()
        for topic in source.spec.topics
    }
    assert played == declared
    now = datetime(2026, 1, 15, 12, 30, 45, tzinfo=UTC)
    for source in manifests().ping_sources.values():
        [schedule] = lambda_functions()[source.spec.sink.ref.name].schedules
        assert schedule.input == source.spec.data
        ours, theirs = (
            list(islice(ticks(schedule.expression, now), 30)),
            list(islice(CronSim(source.spec.schedule, now), 30)),
        )
        if schedule.expression.startswith("rate"):  # it counts from when it was made
            assert {b - a for a, b in pairwise(ours)} == {b - a for a, b in pairwise(theirs)}
        else:
            assert ours == theirs
    assert [name for name, function in lambda_functions().items() if function.http] == ["scorer"]


def test_failed_records_come_again_and_end_among_the_dead_letters() -> None:
    mappings = of_type("AWS::Lambda::EventSourceMapping")
    assert len(mappings) == 4
    for properties in mappings.values():
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties["DestinationConfig"]["OnFailure"]["Destination"] == f"kafka://{topics.DEAD_LETTERS}"
        # Without a number Lambda gives up after ten attempts where there is a destination.
        assert properties["MaximumRetryAttempts"] == 10_000
        assert properties["ProvisionedPollerConfig"]["MaximumPollers"] == {"Ref": "KafkaMaximumPollers"}


def _branch(made: Template, value: dict[str, Any]) -> Any:
    """The branch of an Fn::If that holds; None for one that leaves the property out."""
    condition, then, otherwise = value["Fn::If"]
    taken = then if made.resolve({"Fn::If": [condition, "then", "otherwise"]}) == "then" else otherwise
    return None if taken == {"Ref": "AWS::NoValue"} else taken


@pytest.mark.parametrize("kind", ["SelfManaged", "MSK"])
def test_each_kind_of_kafka_makes_whole_mappings(kind: str) -> None:
    arn = "arn:aws:kafka:eu-central-1:123456789012:cluster/a/b"
    made = template(KafkaKind=kind, MskClusterArn=arn, SubnetIds="subnet-1", SecurityGroupIds="sg-1")
    for properties in of_type("AWS::Lambda::EventSourceMapping").values():
        # The pump knows the rest as they are: names, and functions of CloudFormation that it need not work out.
        chosen = {
            name: value
            for name, value in properties.items()
            if list(value if isinstance(value, dict) else {}) == ["Fn::If"]
        }
        resolved = {
            name: value for name, value in ((n, _branch(made, v)) for n, v in chosen.items()) if value is not None
        }
        assert ("EventSourceArn" in resolved) == (kind == "MSK")
        assert ("AmazonManagedKafkaEventSourceConfig" in resolved) == (kind == "MSK")
        assert ("SelfManagedEventSource" in resolved) == (kind == "SelfManaged")
        assert ("SelfManagedKafkaEventSourceConfig" in resolved) == (kind == "SelfManaged")


def test_schedules_have_retries_and_a_queue_for_what_failed() -> None:
    for name in ("Archiver", "Drift", "Promote", "Train"):
        properties = RESOURCES[name]["Properties"]
        [event] = properties["Events"].values()
        assert event["Type"] == "ScheduleV2"
        assert event["Properties"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
        queue = {"Fn::GetAtt": "FailedInvocations.Arn"}
        assert event["Properties"]["DeadLetterConfig"]["Arn"] == queue
        assert properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"] == queue
        assert properties["ReservedConcurrentExecutions"] == 1


def test_no_role_may_do_everything() -> None:
    everything = [*of_type("AWS::IAM::Role").values(), *of_type("AWS::IAM::ManagedPolicy").values()]
    text = repr(everything)
    assert len(everything) > len(ON_LAMBDA)
    assert not re.search(r"'Action': '?\*", text)
    for service in ("s3", "sqs", "secretsmanager", "kafka", "lambda", "logs"):
        for action in re.findall(rf"'({service}:[A-Za-z*]+)'", text):
            assert "*" not in action


def test_secrets_are_only_referred_to() -> None:
    environment = lambda_functions()["scorer"].environment
    assert environment["REDIS_URL"] == {
        "Fn::Sub": "{{resolve:secretsmanager:${FeatureStoreSecretArn}:SecretString:url}}"
    }
    assert template().environment(lambda_functions()["scorer"])["REDIS_URL"] == "store-secret:url"


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(TemplateError, match="no parameter Nonsense"):
        template(Nonsense="1")
