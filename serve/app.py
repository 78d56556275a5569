"""The deployments of the service and how they hang together.

    HTTP -> Ingress (routes, films, uploads) -> QueryEncoder (batches of texts) -> Search (the index)
                                             -> Describer (batches of clips), where a model is given

`build` makes the application for `cinescribe serve`, `serve run serve.app:build root=DIR`, and Serve configs.
Each deployment scales by itself; replicas share nothing but the tables and the index, which they open.
"""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from cinescribe.errors import UsageError
from cinescribe.search.query import Answer, Query
from cinescribe.search.reranking import load_scoring
from serve import log
from serve.addresses import check_allowed
from serve.describing import Asked, Captioner, Described, Prepared, Refused, described_by
from serve.finding import Index, IndexState, Refusal
from serve.gate import App
from serve.replies import RETRY_AFTER, full, refusal
from serve.service import guarded
from serve.settings import Settings, read_keys

if TYPE_CHECKING:
    from cinescribe.search.searcher import EncodedQuery

_STATE_SECONDS = 5.0  # how long the ingress believes what it knows of the index


class Arguments(BaseModel):
    """What `build` takes; the same names as the command's options."""

    model_config = ConfigDict(extra="forbid")

    root: str
    allow: list[str] = []
    media_root: list[str] = []
    name: list[str] = []
    keys_file: str = ""
    device: str = "cpu"
    threads: Annotated[int, Field(ge=1)] = 1
    refresh: Annotated[float, Field(gt=0)] = 10.0
    replicas: str = "1"
    batch: Annotated[int, Field(ge=1, description="most queries that are encoded together")] = 16
    ongoing: Annotated[int, Field(ge=1, description="most requests in an ingress replica")] = 64
    queued: Annotated[int, Field(ge=1, description="most that wait for one; more get 503")] = 128
    upload_mb: Annotated[int, Field(ge=1)] = 64
    describer: Annotated[str, Field(description="folder of an AutoAD")] = ""
    describer_encoder: Annotated[str, Field(description="of its frames, where their name doesn't tell")] = ""
    reranker: Annotated[str, Field(description="folder of a JSFusion that puts moments in order")] = ""
    caption_batch: Annotated[int, Field(ge=1, description="most clips that are described together")] = 8
    caption_queued: Annotated[int, Field(ge=1, description="most that wait; more get 503")] = 16
    cache: str = ""
    cache_mb: Annotated[int, Field(ge=1)] = 256
    log: str = ""

    def settings(self) -> Settings:
        """For the replicas. Raises UsageError on what can't be meant, WeightsError on no model."""
        check_allowed(self.allow)
        if self.describer_encoder and not self.describer:
            raise UsageError("--describer-encoder: is of the frames of a model; name it with --describer")
        if self.reranker:
            load_scoring(Path(self.reranker))  # what is wrong with it is told here, not by a replica
        hashes, secret = read_keys(self.keys_file)
        return Settings(
            root=self.root if self.root.startswith("s3://") else os.path.abspath(self.root),
            allow=tuple(self.allow),
            media_roots=tuple(self.media_root),
            names=tuple(self.name),
            key_hashes=hashes,
            session_secret=secret,
            device=self.device,
            threads=self.threads,
            refresh_seconds=self.refresh,
            upload_bytes=self.upload_mb * 2**20,
            cache=self.cache,
            cache_bytes=self.cache_mb * 2**20,
            log=os.path.abspath(self.log) if self.log else "",
            describing=described_by(self.describer, self.describer_encoder) if self.describer else None,
            reranker=os.path.abspath(self.reranker) if self.reranker else "",
        )


def replica_range(written: str) -> tuple[int, int]:
    """Fewest and most replicas of "2" or "1-4". Raises UsageError."""
    fewest, _, most = written.partition("-")
    try:
        least, largest = int(fewest), int(most or fewest)
    except ValueError:
        least = largest = 0
    if not 1 <= least <= largest <= 1000:
        raise UsageError(f"--replicas {written}: give a number, or MIN-MAX such as 1-4")
    return least, largest


class QueryEncoder:
    """Turns the texts of queries into vectors, those that come together in one go."""

    def __init__(self, settings: Settings, batch: int) -> None:
        log.open_log(settings.log)
        self._index = Index(
            settings.root,
            threads=settings.threads,
            device=settings.device,
            refresh_seconds=settings.refresh_seconds,
        )
        self._index.encode(["a film"])  # loads what queries need, so that the first one needn't wait
        self.encode.set_max_batch_size(batch)  # type: ignore[attr-defined]

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.005)  # type: ignore[untyped-decorator]
    async def encode(self, texts: list[str]) -> "list[EncodedQuery]":
        """Called with one text, it is handed many."""
        # A text is made ready for what there is to find: visual words and CLIP may come later.
        self._index.keep_fresh(_tell_failed_refresh)
        return await asyncio.to_thread(self._index.encode, texts)


class Search:
    """Finds moments in the index, which it looks at again every few seconds."""

    def __init__(self, settings: Settings) -> None:
        log.open_log(settings.log)
        self._index = Index(
            settings.root,
            threads=settings.threads,
            device=settings.device,
            refresh_seconds=settings.refresh_seconds,
            reranker=settings.reranker,
        )

    async def find(self, encoded: "EncodedQuery", query: Query) -> Answer | Refusal:
        """The moments of an encoded query."""
        self._keep_fresh()
        return await asyncio.to_thread(self._index.find, encoded, query)

    async def state(self) -> IndexState:
        """What the index holds."""
        self._keep_fresh()
        return self._index.state()

    def _keep_fresh(self) -> None:
        self._index.keep_fresh(_tell_failed_refresh)


class Describer:
    """Describes clips, those that come together in one go; what comes meanwhile is in the next."""

    def __init__(self, settings: Settings, batch: int) -> None:
        log.open_log(settings.log)
        self._captioner = Captioner(settings)
        self.say.set_max_batch_size(batch)  # type: ignore[attr-defined]

    async def describe(self, asked: Asked) -> Described | Refused:
        """The description of a clip."""
        prepared = await asyncio.to_thread(self._captioner.prepare, asked)
        return prepared if isinstance(prepared, Refused) else await self.say(prepared)  # type: ignore[arg-type]

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)  # type: ignore[untyped-decorator]
    async def say(self, clips: list[Prepared]) -> list[Described | Refused]:
        """Called with one clip, it is handed many."""
        return await asyncio.to_thread(self._captioner.describe, clips)


class DeployedDescriber:
    """Asks the deployment; a `serve.describing.Describer`."""

    def __init__(self, describer: DeploymentHandle) -> None:
        self._describer = describer

    async def describe(self, asked: Asked) -> Described | Refused:
        """See `serve.describing.Describer`."""
        answer: Described | Refused = await _answer(self._describer.describe.remote(asked))
        return answer


def _tell_failed_refresh(error: Exception) -> None:
    log.line("refresh-failed", message=str(error))


class DeployedFinder:
    """Asks the deployments; a `serve.finding.Finder`."""

    def __init__(self, encoder: DeploymentHandle, search: DeploymentHandle) -> None:
        self._encoder, self._search = encoder, search
        self._state: tuple[float, IndexState] | None = None

    async def find(self, query: Query) -> Answer | Refusal:
        """See `Finder`."""
        # The encoder's reply goes straight to the index, not by way of this replica.
        return await _answer(self._search.find.remote(self._encoder.encode.remote(query.text), query))

    async def state(self) -> IndexState:
        """See `Finder`."""
        now = asyncio.get_running_loop().time()
        if self._state is None or now - self._state[0] > _STATE_SECONDS:
            async with asyncio.timeout(_STATE_SECONDS):
                self._state = now, await _answer(self._search.state.remote())
        return self._state[1]


async def _answer(response: Any) -> Any:
    """Wait for a deployment; that it is full or was just lost is told as 503."""
    try:
        return await response
    except (BackPressureError, DeploymentUnavailableError):
        raise full() from None
    except RayActorError as error:
        raise _lost() from error


def _lost() -> HTTPException:
    headers = {"Retry-After": str(RETRY_AFTER)}
    return refusal(503, "lost", "the service lost the request; try again in a moment", headers)


class Ingress:
    """Speaks HTTP."""

    def __init__(
        self,
        settings: Settings,
        encoder: DeploymentHandle,
        search: DeploymentHandle,
        describer: DeploymentHandle | None = None,
    ) -> None:
        self._settings = settings
        self._finder = DeployedFinder(encoder, search)
        self._describer = DeployedDescriber(describer) if describer else None

    def __serve_build_asgi_app__(self) -> App:
        """The application of this replica; Ray calls it once."""
        name = serve.get_replica_context().replica_id.unique_id
        return guarded(self._settings, self._finder, name, self._describer)


def build(arguments: Arguments) -> serve.Application:
    """The application. Raises UsageError and WeightsError on arguments that can't be met."""
    settings = arguments.settings()
    fewest, most = replica_range(arguments.replicas)
    full_reply = BackpressureConfig(status_code=503, retry_after_s=RETRY_AFTER)

    def scaled(ongoing: int, queued: int, cpus: float, gpus: float = 0.0) -> dict[str, Any]:
        options: dict[str, Any] = {
            "max_ongoing_requests": ongoing,
            "max_queued_requests": queued,
            "backpressure_config": full_reply,
            "graceful_shutdown_timeout_s": 30,
            "ray_actor_options": {"num_cpus": cpus, "num_gpus": gpus},
        }
        if fewest == most:
            return {**options, "num_replicas": fewest}
        scaling = AutoscalingConfig(
            min_replicas=fewest, max_replicas=most, target_ongoing_requests=max(1, ongoing // 2)
        )
        return {**options, "autoscaling_config": scaling}

    models = 1 + bool(settings.describing) + bool(settings.reranker)  # that share a GPU
    gpu = 1.0 / models if settings.device == "cuda" else 0.0
    # Queries on their way to the encoder are few and small; what waits, waits there.
    encoder = serve.deployment(**scaled(4 * arguments.batch, arguments.queued, ENCODER_CPUS, gpu))(
        QueryEncoder
    )
    ranking_gpu = gpu if settings.reranker else 0.0
    search = serve.deployment(**scaled(16, arguments.queued, SEARCH_CPUS, ranking_gpu))(Search)
    ingress = serve.deployment(**scaled(arguments.ongoing, arguments.queued, INGRESS_CPUS))(
        serve.ingress()(Ingress)
    )
    parts = [encoder.bind(settings, arguments.batch), search.bind(settings)]
    if settings.describing:
        # One batch is described, one is made ready; what waits longer, waits where it is counted.
        ongoing = 2 * arguments.caption_batch
        describer = serve.deployment(**scaled(ongoing, arguments.caption_queued, DESCRIBER_CPUS, gpu))(
            Describer
        )
        parts.append(describer.bind(settings, arguments.caption_batch))
    return ingress.bind(settings, *parts)


# What a replica asks of Ray; without the describer they fit a machine of two cores.
ENCODER_CPUS, SEARCH_CPUS, INGRESS_CPUS, DESCRIBER_CPUS = 1.0, 0.5, 0.25, 1.0
