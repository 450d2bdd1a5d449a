"""Adds up the Prometheus expositions of a service's replicas."""

from collections.abc import Mapping, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

_SUMMED = {"counter", "histogram", "summary"}


def add_up(live: Mapping[str, str], retired: Sequence[str] = ()) -> str:
    """One exposition for a whole service.

    Counters, histograms and summaries are added up, over replicas that have ended too, so that a sum never falls
    because a replica goes. Gauges and what says nothing about its type stay apart, by a label `replica`.

    Args:
        live: Exposition text by replica name.
        retired: Last expositions of replicas that have ended.

    Returns:
        Exposition in Prometheus' text format 0.0.4.
    """
    families: dict[str, Metric] = {}
    samples: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    texts = [(None, text) for text in retired] + list(live.items())
    for replica, text in texts:
        for family in text_string_to_metric_families(text):
            summed = family.type in _SUMMED
            if not summed and replica is None:
                continue
            families.setdefault(family.name, family)
            values = samples.setdefault(family.name, {})
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                own = {} if summed or replica is None else {"replica": replica}
                key = (sample.name, tuple((sample.labels | own).items()))
                values[key] = values.get(key, 0.0) + sample.value
    return "".join(_render(family, samples[name]) for name, family in families.items())


def _render(family: Metric, values: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    lines = [f"# HELP {name} {_escape(family.documentation)}", f"# TYPE {name} {family.type}"]
    for (sample, labels), value in values.items():
        text = ",".join(f'{key}="{_escape(label, quote=True)}"' for key, label in labels)
        lines.append(f"{sample}{{{text}}} {value!r}" if text else f"{sample} {value!r}")
    return "\n".join(lines) + "\n"


def _escape(text: str, *, quote: bool = False) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return escaped.replace('"', r"\"") if quote else escaped
