"""Where the shadow scorer's parts are put together; tests hand in others."""

import atexit
from dataclasses import dataclass

from functions.shadow_scorer.settings import ShadowSettings
from functions.shadow_scorer.shadow import ShadowScorer
from shared.bus.publisher import Publisher
from shared.contracts.cloudevents import Event
from shared.hosts.aws_kafka import KafkaTrigger
from shared.hosts.http_events import EventEndpoint
from shared.registry.client import RegistryClient
from shared.registry.errors import ModelUnavailable
from shared.registry.follower import Callbacks, CurrentModel, ModelFollower
from shared.telemetry.model_info import show_model

_FLUSH_SECONDS = 5.0


@dataclass(frozen=True)
class ComposedShadow:
    """A composed shadow scorer, one face for each kind of host."""

    endpoint: EventEndpoint
    kafka_trigger: KafkaTrigger
    shadow: ShadowScorer


def compose(
    settings: ShadowSettings | None = None, publisher: Publisher | None = None, models: ModelFollower | None = None
) -> ComposedShadow:
    """Put a shadow scorer together; what is not handed in is made from the settings. Connects to nothing yet."""
    settings = settings or ShadowSettings()
    publisher = publisher or Publisher(settings.kafka_bootstrap_servers, buffer_events=settings.fraud_buffer_events)
    follower = models or _follow_models(settings)
    started = False

    def start() -> None:
        nonlocal started
        if not started:
            started = True
            follower.start()
            atexit.register(publisher.close, _FLUSH_SECONDS)

    def challenger() -> CurrentModel | None:
        try:
            return follower.current
        except ModelUnavailable:
            if follower.answered:
                return None
            raise

    shadow = ShadowScorer(challenger, publisher)

    async def handle(event: Event) -> None:
        start()
        await shadow.handle(event)

    return ComposedShadow(EventEndpoint(handle), KafkaTrigger(handle, settings.kafka_bootstrap_servers), shadow)


def _follow_models(settings: ShadowSettings) -> ModelFollower:
    alias = settings.fraud_shadow_alias
    return ModelFollower(
        RegistryClient(settings.mlflow_tracking_uri),
        settings.fraud_state_dir,
        name=settings.fraud_model_name,
        alias=alias,
        required=False,
        poll_s=settings.fraud_model_poll_seconds,
        callbacks=Callbacks(on_swap=lambda current: show_model(current.version if current else None, alias)),
    )
