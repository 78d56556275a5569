"""What `/metrics` tells, in Prometheus' text form; each replica counts its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


class Metrics:
    """The counters of one replica, marked with its name: behind several, a scrape meets one of them."""

    def __init__(self, replica: str) -> None:
        self._registry = CollectorRegistry()
        labels = ("replica", "route", "method", "status")
        self._replica = replica
        self._requests = Counter("cinescribe_requests", "requests answered", labels, registry=self._registry)
        self._seconds = Histogram(
            "cinescribe_request_seconds", "time until the reply was sent", ("replica", "route"),
            registry=self._registry, buckets=_BUCKETS,
        )  # fmt: skip
        self.in_flight = Gauge(
            "cinescribe_requests_in_flight", "requests in this replica", ("replica",), registry=self._registry
        ).labels(replica)
        self._queue = Gauge(
            "cinescribe_queries_waiting", "queries that wait for encoder or index", ("replica",),
            registry=self._registry,
        )  # fmt: skip
        self.waiting = self._queue.labels(replica)
        self._films = Gauge(
            "cinescribe_index_films", "films in the index", ("replica",), registry=self._registry
        )
        self._rows = Gauge(
            "cinescribe_index_rows", "rows of the index", ("replica", "table"), registry=self._registry
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; status 0 is one that its client left."""
        known = method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"
        self._requests.labels(self._replica, route, known, str(status)).inc()
        self._seconds.labels(self._replica, route).observe(seconds)

    def text(self, films: int, rows: dict[str, int]) -> bytes:
        """All of it."""
        self._films.labels(self._replica).set(films)
        for table, count in rows.items():
            self._rows.labels(self._replica, table).set(count)
        return generate_latest(self._registry)
