"""What the pump reads of the SAM template: functions, their triggers, their environment.

The same file is deployed, so that what is played here is what runs there. Of CloudFormation's functions those are known
that the template uses; references to secrets and parameters are looked up where ``AWS_ENDPOINT_URL`` points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

_SECRET: Final = re.compile(r"\{\{resolve:secretsmanager:(?P<id>.+):SecretString:(?P<key>[^:}]+)\}\}")
_SSM_TYPE: Final = "AWS::SSM::Parameter::Value<"
_PSEUDO: Final = {"AWS::StackName": "local", "AWS::Region": "us-east-1", "AWS::Partition": "aws"}
_ABSENT: Final = object()


class TemplateError(ValueError):
    """The template asks for something that the pump does not know."""


@dataclass(frozen=True, slots=True)
class KafkaMapping:
    """A Kafka trigger."""

    topics: tuple[str, ...]
    group: str
    batch_size: int
    window_seconds: float
    retries: int
    on_failure: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule of EventBridge Scheduler; `retries` are those of Lambda's asynchronous invocation."""

    expression: str
    input: str
    retries: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its triggers.

    Attributes:
        name: As its image and its folder are named: ``feature-updater``.
        handler: Where its handler is.
        timeout_seconds: Its time limit.
        memory_mb: Its memory.
        environment: Its variables, as the template writes them: resolved by `Template.environment`.
        http: Whether the HTTP API calls it.
        kafka: Its Kafka triggers.
        schedules: Its schedules.
    """

    name: str
    handler: str
    timeout_seconds: float
    memory_mb: int
    environment: Mapping[str, Any]
    http: bool
    kafka: tuple[KafkaMapping, ...]
    schedules: tuple[Schedule, ...]


Secret = Callable[[str, str], str]
"""Returns a key of a secret of Secrets Manager."""

Parameter = Callable[[str], str]
"""Returns a parameter of SSM's Parameter Store."""


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long ones."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    raise TemplateError(f"!{suffix} of a mapping is not known here")


_Loader.add_multi_constructor("!", _short_form)


class Template:
    """A SAM template.

    Args:
        document: The template, read by `load`.
        given: Values of parameters; those of SSM types are names of parameters, as in CloudFormation.
        secret: Looks up secrets.
        parameter: Looks up SSM's parameters.
    """

    def __init__(
        self, document: Mapping[str, Any], given: Mapping[str, str], secret: Secret, parameter: Parameter
    ) -> None:
        self._document = document
        self._secret = secret
        self._parameter = parameter
        unknown = set(given) - set(document["Parameters"])
        if unknown:
            raise TemplateError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self._given = given

    @staticmethod
    def load(path: Path) -> dict[str, Any]:
        """Read a template's document."""
        document: dict[str, Any] = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - a safe loader with tags
        return document

    def functions(self) -> dict[str, Function]:
        """All functions by name."""
        resources: Mapping[str, Any] = self._document["Resources"]
        found = {}
        for logical, resource in resources.items():
            if resource["Type"] == "AWS::Serverless::Function":
                function = self._function(logical, resource["Properties"])
                found[function.name] = function
        return found

    def environment(self, function: Function) -> dict[str, str]:
        """A function's variables with all references resolved.

        Raises:
            TemplateError: A parameter has no value.
        """
        return {name: self._text(self.resolve(value)) for name, value in function.environment.items()}

    def resolve(self, value: Any) -> Any:
        """Resolve the references in a value; what refers to ``AWS::NoValue`` is left out."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not _ABSENT]
        if not isinstance(value, dict):
            return self._with_secrets(value) if isinstance(value, str) else value
        match [*value.items()]:
            case [("Ref", name)]:
                return self._reference(name)
            case [("Fn::Sub", str(text))]:
                filled = re.sub(r"\$\{([^}!]+)\}", lambda found: self._text(self._reference(found[1])), text)
                return self._with_secrets(filled)
            case [("Fn::If", [condition, then, otherwise])]:
                return self.resolve(then if self._holds(self._document["Conditions"][condition]) else otherwise)
            case _:
                resolved = {name: self.resolve(one) for name, one in value.items()}
                return {name: one for name, one in resolved.items() if one is not _ABSENT}

    def _function(self, logical: str, properties: Mapping[str, Any]) -> Function:
        common = self._document["Globals"]["Function"]["Environment"]["Variables"]
        mappings = [
            self._mapping(resource["Properties"])
            for resource in self._document["Resources"].values()
            if resource["Type"] == "AWS::Lambda::EventSourceMapping"
            and resource["Properties"]["FunctionName"] == {"Ref": logical}
        ]
        events = list(properties.get("Events", {}).values())
        retries = int(properties.get("EventInvokeConfig", {}).get("MaximumRetryAttempts", 2))
        return Function(
            name=re.sub(r"(?<!^)(?=[A-Z])", "-", logical).lower(),
            handler=properties["ImageConfig"]["Command"][0],
            timeout_seconds=float(properties["Timeout"]),
            memory_mb=int(properties["MemorySize"]),
            environment=common | properties.get("Environment", {}).get("Variables", {}),
            http=any(event["Type"] == "HttpApi" for event in events),
            kafka=tuple(mappings),
            schedules=tuple(
                Schedule(event["Properties"]["ScheduleExpression"], event["Properties"]["Input"], retries)
                for event in events
                if event["Type"] == "ScheduleV2"
            ),
        )

    def _mapping(self, properties: Mapping[str, Any]) -> KafkaMapping:
        config = self.resolve(properties["SelfManagedKafkaEventSourceConfig"])
        if config is _ABSENT:
            config = self.resolve(properties["AmazonManagedKafkaEventSourceConfig"])
        return KafkaMapping(
            topics=tuple(properties["Topics"]),
            group=config["ConsumerGroupId"],
            batch_size=int(properties["BatchSize"]),
            window_seconds=float(properties["MaximumBatchingWindowInSeconds"]),
            retries=int(properties["MaximumRetryAttempts"]),
            on_failure=properties["DestinationConfig"]["OnFailure"]["Destination"].removeprefix("kafka://"),
        )

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _ABSENT
        if name in _PSEUDO:
            return _PSEUDO[name]
        declared = self._document["Parameters"].get(name)
        if declared is None:
            raise TemplateError(f"{name} is no parameter: the pump knows no other references")
        value = self._given.get(name, declared.get("Default"))
        if value is None:
            raise TemplateError(f"parameter {name} has no value")
        return self._parameter(str(value)) if declared["Type"].startswith(_SSM_TYPE) else value

    def _holds(self, condition: Any) -> bool:
        match [*condition.items()]:
            case [("Fn::Equals", [one, other])]:
                return self._text(self.resolve(one)) == self._text(self.resolve(other))
            case [("Fn::Not", [inner])]:
                return not self._holds(inner)
            case _:
                raise TemplateError(f"the pump does not know the condition {condition}")

    def _with_secrets(self, text: str) -> str:
        return _SECRET.sub(lambda found: self._secret(found["id"], found["key"]), text)

    @staticmethod
    def _text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str | int | float):
            raise TemplateError(f"{value!r} is no text")
        return str(value)
