from shared.features.history.versions import first_versions

DAY = 86_400_000


def test_a_repeated_id_is_its_first_version_while_that_is_remembered() -> None:
    rows = [(0, 1, "a", 50 * DAY), (1, 1, "b", 81 * DAY), (2, 1, "a", 0), (3, 2, "a", 0)]
    assert list(first_versions(rows)) == [(0, 0), (1, 1), (2, 0), (3, 3)]


def test_a_forgotten_id_is_recorded_anew_and_then_remembered() -> None:
    rows = [(0, 1, "a", 50 * DAY), (1, 1, "b", 82 * DAY), (2, 1, "a", 90 * DAY), (3, 1, "a", 90 * DAY)]
    assert list(first_versions(rows)) == [(0, 0), (1, 1), (2, 2), (3, 2)]


def test_a_version_that_came_too_late_is_not_remembered() -> None:
    rows = [(0, 1, "b", 82 * DAY), (1, 1, "a", 50 * DAY), (2, 1, "a", 80 * DAY), (3, 1, "a", 81 * DAY)]
    assert list(first_versions(rows)) == [(0, 0), (1, 1), (2, 2), (3, 2)]
