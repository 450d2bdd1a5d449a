"""One more line in the catalogue is one more feature everywhere."""

from typing import Any

from redis.asyncio import Redis

from functions.scorer.api import build_api
from functions.train.fit import fit
from functions.train.recipe import CHAMPION
from functions.train.simulated import SimulatedHistory
from functions.train.split import periods_by_share, split_by_time
from shared.cli.features import reference
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.definition import HOUR_MS
from shared.features.kinds import count
from shared.features.online import OnlineFeatures
from tests.support.features.checking import history_answers, online_answers
from tests.support.features.oracle import HOUR, Tx

MORE = Catalogue((*CATALOGUE.features, count("txn_count_2h", 2 * HOUR_MS)))
T0 = 1_790_000_000_000
STREAM = [Tx(f"t{k}", "c", T0 + k * HOUR // 2, 100) for k in range(6)]
COUNTS = [1, 2, 3, 4, 4, 4]


async def test_the_online_engine_answers_it(redis: Redis) -> None:
    features = OnlineFeatures(redis, MORE)
    answers = await online_answers(features, STREAM, catalogue=MORE)
    assert [values["txn_count_2h"] for _, values in answers] == COUNTS
    await features.aclose()


def test_the_history_engine_answers_it() -> None:
    assert [values["txn_count_2h"] for _, values in history_answers(STREAM, MORE)] == COUNTS


def test_a_model_is_trained_on_it() -> None:
    examples = SimulatedHistory(seed=3, transactions=30_000, days=60.0, threads=1, catalogue=MORE).examples()
    gap_ms = examples.labels.horizon_ms
    periods = periods_by_share(examples.start_ms, examples.end_ms, gap_ms=gap_ms, train_share=0.5, test_share=0.3)
    dataset = split_by_time(examples, periods)
    model = fit(CHAMPION, dataset, dataset.names, seed=3, threads=1)
    assert model.features == MORE.names
    assert model.booster.feature_names == list(MORE.names)


def test_the_response_schema_explains_it() -> None:
    nothing: Any = None
    schema = build_api(nothing, nothing, MORE).openapi()
    described = schema["components"]["schemas"]["DecisionDetails"]["properties"]["features"]["properties"]
    assert list(described) == list(MORE.names)
    assert described["txn_count_2h"]["description"] == (
        "The card's transactions in the last 2 hours, this one included. Unit: transactions. Never null."
    )


def test_the_reference_lists_it() -> None:
    last = reference(MORE)["features"][-1]
    assert (last["name"], last["window"], last["unit"], last["null_when"]) == (
        "txn_count_2h",
        "2 hours",
        "transactions",
        None,
    )
