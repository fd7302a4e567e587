"""The REST API. Everything is named by digest or by an id that the server gave; errors are `{"error": text}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from kinprint.fingerprints import Fingerprint
from kinprint.library.records import data_of
from kinprint.server.runs import Run
from kinprint.server.service import Service

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


class FingerprintRequest(BaseModel):
    """What to fingerprint: the id of a checkpoint."""

    model_config = ConfigDict(extra="forbid")

    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Measuring(BaseModel):
    """Work on a model. `done` and `total`: bytes of one that is measured, models tested in a search."""

    id: str
    model: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
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
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Models:
    """Models of the library, by name."""
    page = service(request).catalogue.find(q, offset, limit)
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


@router.post("/fingerprints", status_code=201, responses=REFUSED | {413: {"model": Error}}, openapi_extra=UPLOAD)
async def upload(request: Request) -> Held:
    """Upload the bytes of a `.kinprint` file. It is held in memory for as long as there is room."""
    data = await request.body()
    fingerprint = await run_in_threadpool(Fingerprint.parse, data, "the upload")
    return Held(digest=await run_in_threadpool(service(request).keep, fingerprint), name=fingerprint.name)


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
    return [CheckpointEntry(id=model.id, name=model.name) for model in service(request).folders.list()]


@router.post("/runs", status_code=202, responses=REFUSED | BUSY)
def start(request: Request, wanted: FingerprintRequest) -> Measuring:
    """Begin to fingerprint a model of the folders."""
    return _measuring(service(request).measure(wanted.checkpoint))


@router.get("/runs", responses=REFUSED)
def runs(request: Request) -> list[Measuring]:
    """Fingerprints being measured, and those measured lately, the newest first."""
    return [_measuring(run) for run in service(request).runs.all()]


@router.get("/runs/{key}", responses=REFUSED)
def run(request: Request, key: Key) -> Measuring:
    """How far a run has come."""
    return _measuring(_required(service(request).run(key)))


@router.delete("/runs/{key}", responses=REFUSED)
def cancel(request: Request, key: Key) -> Measuring:
    """Stop a run; one that has ended stays as it is."""
    return _measuring(_required(service(request).cancel(key)))


def _required(run: Run | None) -> Run:
    if run is None:
        raise HTTPException(404, "no such run")
    return run


def _measuring(run: Run) -> Measuring:
    return Measuring(**run.to_json())
