"""Where the feature updater's parts are put together; tests hand in others."""

from dataclasses import dataclass

from functions.feature_updater.settings import UpdaterSettings
from functions.feature_updater.updater import FeatureStore, Updater
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.online import OnlineFeatures
from shared.features.online.client import connect
from shared.hosts.aws_kafka import KafkaTrigger
from shared.hosts.http_events import EventEndpoint


@dataclass(frozen=True)
class ComposedUpdater:
    """A composed feature updater, one face for each kind of host."""

    endpoint: EventEndpoint
    kafka_trigger: KafkaTrigger


def compose(
    settings: UpdaterSettings | None = None, store: FeatureStore | None = None, catalogue: Catalogue = CATALOGUE
) -> ComposedUpdater:
    """Put a feature updater together; what is not handed in is made from the settings. Connects to nothing yet."""
    settings = settings or UpdaterSettings()
    store = store or OnlineFeatures(connect(settings.redis_url.get_secret_value()), catalogue)
    updater = Updater(store, catalogue.settings, settings.fraud_update_timeout_ms / 1e3)
    return ComposedUpdater(
        EventEndpoint(updater.handle),
        KafkaTrigger(updater.handle, settings.kafka_bootstrap_servers, updater.handle_together),
    )
