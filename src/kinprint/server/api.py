"""The REST API. Everything is named by digest or by an id that the server gave; errors are `{"error": text}`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from kinprint.library.records import data_of
from kinprint.server import uploads
from kinprint.server.catalogue import Order, Reading, Size, Wanted
from kinprint.server.jobs import Job, Kind, State
from kinprint.server.service import Service

T = TypeVar("T")

router = APIRouter(prefix="/api")

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="BLAKE3 digest of a fingerprint")]
InPath = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="BLAKE3 digest of a fingerprint")]
Key = Annotated[str, Path(pattern="^[0-9a-f]{16,32}$")]


class Error(BaseModel):
    """What went wrong, in a sentence."""

    error: str


class ModelEntry(BaseModel):
    """A model of the library."""

    digest: Digest
    name: str
    source: str
    revision: str
    family: str
    model_type: str
    layers: int | None
    hidden_size: int | None
    parameters: int | None
    quick: float | None
    size: int
    kinprint: str
    trait_version: int
    added: str


class Models(BaseModel):
    """A page of models."""

    total: int
    models: list[ModelEntry]


class Held(BaseModel):
    """A fingerprint that the server holds."""

    digest: Digest
    name: str


class PairRequest(BaseModel):
    """Two fingerprints, by digest."""

    model_config = ConfigDict(extra="forbid")

    reference: Digest
    suspect: Digest


class Suspect(BaseModel):
    """A fingerprint, by digest, and how many candidates to test."""

    model_config = ConfigDict(extra="forbid")

    suspect: Digest
    candidates: Annotated[int, Field(ge=1, le=200)] = 20


class CheckpointEntry(BaseModel):
    """A model of the folders that the server was given."""

    id: str
    name: str


class FingerprintJob(BaseModel):
    """Fingerprint a model of the folders, given by the id of a checkpoint."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["fingerprint"]
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class ComparisonJob(PairRequest):
    """Compare two fingerprints."""

    kind: Literal["comparison"]


class SearchJob(BaseModel):
    """Find a model's relatives, make a tree of the nearest, or a report of both."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["search", "tree", "report"]
    suspect: Digest


JobRequest = Annotated[FingerprintJob | ComparisonJob | SearchJob, Field(discriminator="kind")]


def asked(wanted: JobRequest) -> tuple[Kind, tuple[str, ...]]:
    """What a request asks for: the kind of the job, and the id of a checkpoint or the digests of fingerprints."""
    if isinstance(wanted, FingerprintJob):
        return wanted.kind, (wanted.checkpoint,)
    if isinstance(wanted, ComparisonJob):
        return wanted.kind, (wanted.reference, wanted.suspect)
    return wanted.kind, (wanted.suspect,)


class JobState(BaseModel):
    """A job. `done` and `total` are counted in `unit`; `place` is the page of the result on this server."""

    id: str
    kind: Kind
    model: str
    place: str
    unit: str
    state: State
    done: int
    total: int
    digest: str
    error: str


class Neighbour(BaseModel):
    """A model whose index vectors lie near: a candidate, no evidence."""

    digest: Digest
    name: str
    space: str
    similarity: float


def service(request: Request) -> Service:
    instance: Service = request.app.state.service
    return instance


REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"model": Error, "description": "a token is needed"},
    404: {"model": Error, "description": "no such thing here"},
    422: {"model": Error, "description": "the request is not as the schema says, or the input cannot be used"},
}
BUSY: dict[int | str, dict[str, Any]] = {429: {"model": Error, "description": "too much is under way; try again"}}


@router.get("/models", responses=REFUSED)
def models(
    request: Request,
    q: Annotated[str, Query(max_length=200, description="words of name, source, family or digest")] = "",
    family: Annotated[str, Query(max_length=200, description="architecture table; any if empty")] = "",
    size: Annotated[Size, Query(description="by number of parameters; any if empty")] = "",
    reading: Annotated[Reading, Query(description="how the fingerprint was measured; any if empty")] = "",
    order: Annotated[Order, Query(description="what is unknown comes last")] = "name",
    down: Annotated[bool, Query(description="the largest, latest or last first")] = False,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Models:
    """Models of the library."""
    page = service(request).catalogue.find(Wanted(q, family, size, reading), offset, limit, order, down)
    return Models(total=page.total, models=[ModelEntry(**model.to_json()) for model in page.models])


@router.get("/models/{digest}", responses=REFUSED)
def model(request: Request, digest: InPath) -> dict[str, Any]:
    """What is known of a model: facts, provenance, and the shapes of its traits."""
    fingerprint = service(request).fingerprint(digest)
    return {
        "digest": digest,
        "name": fingerprint.name,
        "facts": dict(fingerprint.facts),
        "provenance": dict(fingerprint.provenance),
        "traits": {name: list(array.shape) for name, array in fingerprint.traits.items()},
    }


@router.get(
    "/models/{digest}/fingerprint",
    responses=REFUSED | {200: {"content": {"application/octet-stream": {}}, "description": "the .kinprint file"}},
    response_class=Response,
)
def download(request: Request, digest: InPath) -> Response:
    """The `.kinprint` file of a model."""
    fingerprint = service(request).fingerprint(digest)
    named = {"content-disposition": f'attachment; filename="{digest[:16]}.kinprint"'}
    return Response(data_of(fingerprint), media_type="application/octet-stream", headers=named)


@router.get("/models/{digest}/neighbours", responses=REFUSED | BUSY)
def neighbours(request: Request, digest: InPath, count: Annotated[int, Query(ge=1, le=100)] = 10) -> list[Neighbour]:
    """Models whose index vectors lie nearest, by space. These are candidates for tests, and no evidence."""
    return [Neighbour(**row) for row in service(request).neighbours(digest, count)]


BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
UPLOAD = {"requestBody": {"required": True, "content": BYTES}}


TOO_MUCH: dict[int | str, dict[str, Any]] = {
    408: {"model": Error, "description": "the file did not arrive in time"},
    413: {"model": Error, "description": "too large"},
}


@router.post("/fingerprints", status_code=201, responses=REFUSED | BUSY | TOO_MUCH, openapi_extra=UPLOAD)
async def upload(request: Request) -> Held:
    """Upload the bytes of a `.kinprint` file. It is held in memory for as long as there is room."""
    with service(request).receiving():
        data = await in_time(request.body())
        fingerprint = await run_in_threadpool(service(request).receive, data)
    return Held(digest=fingerprint.digest, name=fingerprint.name)


@router.post("/comparisons", responses=REFUSED | BUSY)
def compare(request: Request, pair: PairRequest) -> dict[str, Any]:
    """Compare two models: a `kinprint-comparison/1` object."""
    return service(request).compare(pair.reference, pair.suspect).to_json()


@router.post("/identifications", responses=REFUSED | BUSY)
def identify(request: Request, wanted: Suspect) -> dict[str, Any]:
    """Find a model's relatives in the library: a `kinprint-identification/1` object."""
    return service(request).identify(wanted.suspect, wanted.candidates).to_json() | {
        "library": ""
    }  # its place is nobody's business


@router.get("/checkpoints", responses=REFUSED)
def checkpoints(request: Request) -> list[CheckpointEntry]:
    """Models of the folders that the server was given, which can be fingerprinted."""
    return [CheckpointEntry(id=model.id, name=model.name) for model in service(request).checkpoints()]


@router.post("/jobs", status_code=202, responses=REFUSED | BUSY)
def begin(request: Request, wanted: JobRequest) -> JobState:
    """Begin what takes long. Its answer is at `place` for people; for programs, by the request above, which is quick then."""
    kind, named = asked(wanted)
    return _state(service(request).measure(*named) if kind == "fingerprint" else service(request).begin(kind, *named))


@router.get("/jobs", responses=REFUSED)
def jobs(request: Request) -> list[JobState]:
    """Fingerprints of models of the folders that are being measured, and those measured lately, the newest first. Other jobs
    are known to those alone who have their ids."""
    return [_state(job) for job in service(request).measuring.all()]


@router.get("/jobs/{key}", responses=REFUSED)
def job(request: Request, key: Key) -> JobState:
    """How far a job is. A server that was started again goes on with the jobs that had not ended, and knows no others."""
    return _state(service(request).job(key))


@router.delete("/jobs/{key}", responses=REFUSED)
def cancel(request: Request, key: Key) -> JobState:
    """Stop a job; one that has ended stays as it is."""
    return _state(service(request).cancel(key))


async def in_time(arriving: Awaitable[T]) -> T:
    """What arrives, or an answer to whoever sends too slowly."""
    try:
        async with asyncio.timeout(uploads.PATIENCE):
            return await arriving
    except ClientDisconnect as error:
        raise HTTPException(400, "the connection was closed before the file had arrived") from error
    except TimeoutError as error:
        raise HTTPException(408, f"the file did not arrive within {uploads.PATIENCE:.0f} seconds") from error


def _state(job: Job | None) -> JobState:
    if job is None:
        raise HTTPException(404, "no such job: it has ended long ago, or before the server was started again")
    return JobState(**job.to_json())
