from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from functions.train.version_registry import COMPLETE, PENDING, STATE_TAG, NewVersion, register


class Away(MlflowException):
    """The registry does not answer."""

    def __init__(self):
        super().__init__("away")


class FakeClient:
    """MLflow's registry in memory; call number `fails_at` fails, and with `stays_away` all after it."""

    def __init__(self):
        self.models = {}
        self.calls = 0
        self.fails_at = None
        self.stays_away = False

    def _call(self):
        self.calls += 1
        if self.fails_at is not None and (
            self.calls == self.fails_at or (self.stays_away and self.calls > self.fails_at)
        ):
            raise Away

    def search_registered_models(self, filter_string):
        self._call()
        return [model for name, model in self.models.items() if filter_string == f"name = '{name}'"]

    def create_registered_model(self, name):
        self._call()
        self.models[name] = SimpleNamespace(aliases={}, versions={}, last=0)

    def create_model_version(self, name, source, run_id, tags, *, model_id):
        self._call()
        model = self.models[name]
        model.last += 1
        version = SimpleNamespace(version=model.last, run_id=run_id, source=source, tags=dict(tags))
        model.versions[str(model.last)] = version
        return version

    def search_model_versions(self, filter_string):
        self._call()
        return [version for name, m in self.models.items() if name in filter_string for version in m.versions.values()]

    def delete_model_version(self, name, version):
        self._call()
        del self.models[name].versions[version]

    def set_registered_model_alias(self, name, alias, version):
        self._call()
        self.models[name].aliases[alias] = version

    def delete_registered_model_alias(self, name, alias):
        self._call()
        del self.models[name].aliases[alias]

    def set_model_version_tag(self, name, version, key, value):
        self._call()
        self.models[name].versions[version].tags[key] = value


def versions(turn="a"):
    return [
        NewVersion(alias, f"run-{alias}-{turn}", f"models:/m-{alias}", f"m-{alias}", {"bundle_sha256": "x"})
        for alias in ("champion", "challenger")
    ]


def calls_of_a_registration():
    client = FakeClient()
    register(client, "fraud", versions())
    return client.calls


def test_all_versions_get_their_aliases_and_are_complete():
    client = FakeClient()
    assert register(client, "fraud", versions()) == {"champion": "1", "challenger": "2"}
    model = client.models["fraud"]
    assert model.aliases == {"champion": "1", "challenger": "2"}
    assert all(version.tags[STATE_TAG] == COMPLETE for version in model.versions.values())
    assert model.versions["1"].tags["bundle_sha256"] == "x"


def test_the_most_important_alias_is_set_last():
    client = FakeClient()
    register(client, "fraud", versions())
    assert list(client.models["fraud"].aliases) == ["challenger", "champion"]


@pytest.mark.parametrize("step", range(1, calls_of_a_registration() - 1))
def test_a_failure_at_any_step_leaves_nothing_registered(step):
    client = FakeClient()
    client.fails_at = step
    with pytest.raises(Away):
        register(client, "fraud", versions())
    model = client.models.get("fraud", SimpleNamespace(aliases={}, versions={}))
    assert model.aliases == {}
    assert model.versions == {}


@pytest.mark.parametrize("step", range(1, calls_of_a_registration() + 1))
def test_an_outage_from_any_step_on_is_mended_by_the_next_registration(step):
    client = FakeClient()
    client.fails_at, client.stays_away = step, True
    with pytest.raises(Away):
        register(client, "fraud", versions("a"))
    model = client.models.get("fraud")
    if model is not None and "champion" in model.aliases:
        assert "challenger" in model.aliases, "a champion says that all is there"
    client.fails_at = None
    made = register(client, "fraud", versions("b"))
    model = client.models["fraud"]
    assert model.aliases == made
    assert all(version.tags[STATE_TAG] == COMPLETE for version in model.versions.values())
    leftovers = [v for v in model.versions.values() if v.run_id.endswith("-a")]
    assert not leftovers or step >= calls_of_a_registration() - 3, "only versions that got an alias may stay"


def test_versions_of_others_are_left_alone():
    client = FakeClient()
    client.create_registered_model("fraud")
    client.create_model_version("fraud", "s", "by hand", {}, model_id="m")
    client.create_model_version("fraud", "s", "cut off", {STATE_TAG: PENDING}, model_id="m")
    register(client, "fraud", versions())
    assert [v.run_id for v in client.models["fraud"].versions.values()] == [
        "by hand",
        "run-champion-a",
        "run-challenger-a",
    ]


def test_an_alias_that_was_moved_goes_back_where_it_was():
    client = FakeClient()
    first = register(client, "fraud", versions("a"))
    before = client.calls
    register(client, "fraud", versions("b"))
    second = dict(client.models["fraud"].aliases)
    for step in range(before + 1, before + 8):  # up to the setting of the second alias
        client.calls, client.fails_at = before, step
        with pytest.raises(Away):
            register(client, "fraud", versions("c"))
        assert client.models["fraud"].aliases == second != first
        assert not any(one.run_id.endswith("-c") for one in client.models["fraud"].versions.values())


def test_a_fault_of_the_program_while_taking_back_is_not_taken_for_an_outage():
    client = FakeClient()
    client.fails_at = calls_of_a_registration() - 2
    client.delete_model_version = lambda _name, _version: 1 / 0
    with pytest.raises(ZeroDivisionError) as raised:
        register(client, "fraud", versions())
    assert isinstance(raised.value.__context__, Away)
