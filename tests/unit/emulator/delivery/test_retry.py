import pytest

from shared.emulator.delivery.retry import (
    LONGEST_DELAY,
    RetryPolicy,
    Verdict,
    ping_verdict,
    verdict,
)


def test_every_status_is_judged_as_the_knative_data_plane_does() -> None:
    judged = {status: verdict(status) for status in range(200, 600)}
    assert {status for status, what in judged.items() if what is Verdict.DONE} == set(range(200, 300))
    assert {status for status, what in judged.items() if what is Verdict.RETRY} == {404, 408, 409, 429} | set(
        range(500, 600)
    )


def test_a_failing_scheduled_function_is_not_run_again_but_an_unavailable_one_is() -> None:
    assert ping_verdict(202) is Verdict.DONE
    assert ping_verdict(500) is Verdict.REFUSED
    assert ping_verdict(503) is Verdict.RETRY


@pytest.mark.parametrize(("policy", "expected"), [("linear", [0.5, 1.0, 1.5]), ("exponential", [1.0, 2.0, 4.0])])
def test_backoff_grows_by_its_policy(policy: str, expected: list[float]) -> None:
    retry = RetryPolicy(retry=3, backoff_policy=policy, backoff_delay=0.5, timeout=1)  # type: ignore[arg-type]
    assert [retry.delay(number) for number in (1, 2, 3)] == expected


def test_a_long_exponential_backoff_stays_finite() -> None:
    retry = RetryPolicy(retry=5000, backoff_policy="exponential", backoff_delay=10.0, timeout=1)
    assert retry.delay(5000) == LONGEST_DELAY
