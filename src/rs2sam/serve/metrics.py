"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rs2sam_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "rs2sam_request_seconds",
            "Seconds from a request to its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.model_seconds = Histogram(
            "rs2sam_model_seconds", "Seconds of one batch in the model", buckets=_SECONDS, registry=self.registry
        )
        self.waited = Histogram(
            "rs2sam_waited_seconds", "Seconds that questions waited", buckets=_SECONDS, registry=self.registry
        )
        self.batch = Histogram(
            "rs2sam_batch_sentences",
            "Sentences answered in one batch",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.encoded = Counter("rs2sam_images_prepared", "Images prepared", ["from"], registry=self.registry)
        self.encodings = Counter(
            "rs2sam_encodings_read", "Images that the model did not encode again", registry=self.registry
        )
        self.jobs = Counter("rs2sam_jobs", "Jobs that came to an end", ["state"], registry=self.registry)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value whenever it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Everything in Prometheus' format."""
        return generate_latest(self.registry)
