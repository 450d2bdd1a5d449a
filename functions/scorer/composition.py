"""Where the scorer's parts are put together; tests hand in others."""

import atexit
from dataclasses import dataclass

from functions.scorer import metrics
from functions.scorer.control import ControlGroup
from functions.scorer.decider import Decider
from functions.scorer.front_door import Application, FrontDoor
from functions.scorer.handler import ScoreHandler
from functions.scorer.health import Health
from functions.scorer.settings import ScorerSettings
from functions.scorer.store_guard import FeatureStore, StoreGuard
from shared.batching import Batcher
from shared.bus.outbox import Outbox
from shared.bus.publisher import Publisher
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.online import OnlineFeatures
from shared.features.online.client import connect
from shared.registry.client import RegistryClient
from shared.registry.errors import ModelUnavailable
from shared.registry.follower import Callbacks, CurrentModel, ModelFollower
from shared.scoring.bundle import Bundle
from shared.telemetry.model_info import show_model

_FLUSH_SECONDS = 5.0


@dataclass
class Scorer:
    """A composed scorer."""

    app: FrontDoor
    publisher: Publisher
    models: ModelFollower


def compose(
    settings: ScorerSettings | None = None,
    features: FeatureStore | None = None,
    publisher: Publisher | None = None,
    models: ModelFollower | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> Scorer:
    """Put a scorer together; what is not handed in is made from the settings. Connects to nothing yet."""
    settings = settings or ScorerSettings()
    publisher = publisher or Publisher(
        settings.kafka_bootstrap_servers, Outbox(settings.fraud_state_dir / "outbox"), settings.fraud_buffer_events
    )
    features = features or OnlineFeatures(connect(settings.redis_url.get_secret_value()), catalogue)
    models = models or _follow_models(settings, catalogue)
    decider = Decider(
        StoreGuard(features, settings.fraud_store_timeout_ms / 1e3),
        features.request_only_vector,
        lambda: models.current,
        publisher,
        catalogue,
        ControlGroup(settings.fraud_control_share),
    )
    batcher = Batcher(
        decider.read,
        decider.conclude,
        max_waiting=settings.fraud_queue_length,
        deadline_seconds=settings.fraud_queue_deadline_ms / 1e3,
        common_errors=(ModelUnavailable,),
    )
    handler = ScoreHandler(batcher, catalogue.settings)
    health = Health(lambda: _has_model(models))

    def build_api() -> Application:
        from functions.scorer.api import build_api as build  # noqa: PLC0415 - FastAPI is a third of the cold start

        return build(handler, health, catalogue)

    def start() -> None:
        models.start()
        publisher.keep_recovering()
        atexit.register(publisher.close, _FLUSH_SECONDS)

    return Scorer(FrontDoor(handler, health, build_api, start), publisher, models)


def _follow_models(settings: ScorerSettings, catalogue: Catalogue) -> ModelFollower:
    def accept(bundle: Bundle) -> None:
        for served in (bundle.main, bundle.request_only):
            served.columns_in(catalogue.names)

    return ModelFollower(
        RegistryClient(settings.mlflow_tracking_uri),
        settings.fraud_state_dir,
        name=settings.fraud_model_name,
        alias=settings.fraud_model_alias,
        poll_s=settings.fraud_model_poll_seconds,
        accept=accept,
        callbacks=Callbacks(
            on_swap=_show_model,
            on_refused=lambda _version, _reason: metrics.MODEL_REFUSED.inc(),
            on_error=lambda _reason: metrics.REGISTRY_ERRORS.inc(),
        ),
    )


def _has_model(models: ModelFollower) -> bool:
    try:
        models.current  # noqa: B018 - raises without one
    except ModelUnavailable:
        return False
    return True


def _show_model(current: CurrentModel | None) -> None:
    metrics.MODEL_SWAPS.inc()
    if current is not None:
        show_model(current.version, current.alias)
