"""The pages: browse, search, compare, find, upload, watch jobs, read reports. All of them do without scripts."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from kinprint.errors import KinprintError, UnknownError
from kinprint.reports.pages import SCRIPT, STYLE, environment
from kinprint.server import metrics
from kinprint.server.api import InPath, in_time
from kinprint.server.catalogue import ORDERS, SIZES, Order, Reading, Size, Wanted
from kinprint.server.documentation import objects, operations
from kinprint.server.guard import COOKIE, SANDBOX, policy_for, policy_with, session
from kinprint.server.jobs import Kind
from kinprint.server.service import Service
from kinprint.server.settings import MAX_UPLOAD
from kinprint.server.uploads import REMEDY
from kinprint.terms import CANDIDATES

FOLDER = Path(__file__).with_name("templates")
STATIC = {
    "style.css": (STYLE + (FOLDER / "server.css").read_text(encoding="utf-8"), "text/css"),
    "script.js": (SCRIPT + (FOLDER / "server.js").read_text(encoding="utf-8"), "text/javascript"),
    "icon.svg": ((FOLDER / "icon.svg").read_text(encoding="utf-8"), "image/svg+xml"),
}
A_PAGE = 50
"""Models listed on one page."""

CHOICES = 10
"""Models to choose from, on a form; a search brings others."""

IN_FOLDERS = 100
"""Models of folders listed at once; a search brings others."""

MAX_REPORT = 64_000_000

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Text = Annotated[str, Query(max_length=200)]


@router.get("/")
def browse(
    request: Request,
    q: Text = "",
    family: Text = "",
    size: Size = "",
    reading: Reading = "",
    order: Order = "name",
    down: bool = False,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """The library: a search by words, filters, sorted by a column."""
    catalogue = _service(request).catalogue
    listed = catalogue.find(Wanted(q, family, size, reading), (page - 1) * A_PAGE, A_PAGE, order, down)
    asked: dict[str, Any] = {"q": q, "family": family, "size": size, "reading": reading, "order": order, "down": down}

    def link(**changes: Any) -> str:
        """The address of this list, with changes; the page is the first unless it is given."""
        given = {name: value for name, value in {**asked, **changes}.items() if value and (name, value) != ("order", "name")}
        return "/?" + urlencode({name: 1 if value is True else value for name, value in given.items()})

    return _page(
        request, "browse.html", listed=listed, **asked, page=page, pages=-(-listed.total // A_PAGE), link=link,
        families=catalogue.families(), sizes=SIZES, everything=catalogue.total, orders=ORDERS,
    )  # fmt: skip


@router.get("/models/{digest}")
def model(request: Request, digest: InPath) -> Response:
    """What is known of a model, and what can be done with it."""
    return _page(request, "model.html", model=_service(request).fingerprint(digest))


@router.get("/models/{digest}/relatives")
def relatives(request: Request, digest: InPath) -> Response:
    """The model's relatives in the library."""
    service = _service(request)
    if waiting := _waiting(service, "search", digest):
        return waiting
    identification = service.identify(digest, CANDIDATES)
    return _page(request, "relatives.html", model=service.fingerprint(digest), identification=identification)


@router.get("/models/{digest}/tree")
def tree(request: Request, digest: InPath) -> Response:
    """The model among its nearest relatives."""
    from kinprint.reports.tree_svg import STYLE as TREE_STYLE

    service = _service(request)
    if waiting := _waiting(service, "tree", digest):
        return waiting
    answer = _page(request, "tree_of.html", model=service.fingerprint(digest), **_grown(service, digest))
    answer.headers["content-security-policy"] = policy_with(TREE_STYLE)
    return answer


@router.get("/models/{digest}/report")
def model_report(request: Request, digest: InPath, save: bool = False) -> Response:
    """All that is known of one model, as one page that can be kept."""
    service = _service(request)
    if waiting := _waiting(service, "report", digest):
        return waiting
    from kinprint.reports.model_html import model_html
    from kinprint.reports.tree_svg import STYLE as TREE_STYLE

    identification = service.identify(digest, CANDIDATES)
    page = model_html(service.fingerprint(digest), identification, service.tree(digest), saved=save)
    headers = {"content-security-policy": policy_for(SCRIPT, STYLE, TREE_STYLE)}
    if save:
        headers["content-disposition"] = f'attachment; filename="{digest[:16]}.html"'
    return HTMLResponse(page, headers=headers)


@router.get("/compare")
def compare(
    request: Request, reference: Text = "", suspect: Text = "", reference_q: Text = "", suspect_q: Text = "", search: Text = ""
) -> Response:
    """Choose two models from lists; where both are plain, their comparison."""
    service = _service(request)
    sides = [_chooser(service, "reference", reference, reference_q), _chooser(service, "suspect", suspect, suspect_q)]
    if not search and all(side["chosen"] for side in sides):
        return RedirectResponse(f"/compare/{sides[0]['chosen']}/{sides[1]['chosen']}", 303)
    return _page(request, "compare.html", sides=sides)


@router.get("/compare/{reference}/{suspect}")
def comparison(request: Request, reference: InPath, suspect: InPath) -> Response:
    """The report of two models."""
    service = _service(request)
    if waiting := _waiting(service, "comparison", reference, suspect):
        return waiting
    from kinprint.reports.comparison_html import comparison_html

    found = service.compare(reference, suspect)
    command = f"kinprint compare {reference[:16]}.kinprint {suspect[:16]}.kinprint"
    page = comparison_html(found, command=command, home="/")
    return HTMLResponse(page, headers={"content-security-policy": policy_for(SCRIPT, STYLE)})


@router.get("/find")
def find(request: Request, suspect: Text = "", suspect_q: Text = "", search: Text = "") -> Response:
    """Choose a model whose relatives shall be found."""
    side = _chooser(_service(request), "suspect", suspect, suspect_q)
    if not search and side["chosen"]:
        return RedirectResponse(f"/models/{side['chosen']}/relatives", 303)
    return _page(request, "find.html", side=side)


@router.get("/upload")
def upload(request: Request) -> Response:
    """A form for a fingerprint."""
    return _upload(request)


@router.post("/upload")
async def take(request: Request) -> Response:
    """Takes a fingerprint, and shows the model; what is none is refused with what to do instead."""
    service = _service(request)
    try:
        with service.receiving():
            form = await in_time(request.form(max_files=1, max_fields=1))
            file = form.get("file")
            data = await file.read() if isinstance(file, UploadFile) else b""
            await form.close()
            fingerprint = await run_in_threadpool(service.receive, data)
    except KinprintError as error:
        return _upload(request, 422, str(error))
    except HTTPException as error:
        return _upload(request, error.status_code, str(error.detail))
    return RedirectResponse(f"/models/{fingerprint.digest}", 303)


@router.get("/jobs")
def jobs(request: Request, q: Text = "") -> Response:
    """Models that can be fingerprinted, and fingerprints under way."""
    service = _service(request)
    words = q.casefold().split()
    found = [model for model in service.checkpoints() if all(word in model.name.casefold() for word in words)]
    return _page(
        request, "jobs.html", checkpoints=found[:IN_FOLDERS], total=len(found), q=q, jobs=service.measuring.all()
    )  # fmt: skip


@router.post("/jobs")
async def start(request: Request) -> Response:
    """Begins to fingerprint a model of the folders."""
    job = await run_in_threadpool(_service(request).measure, await _field(request, "checkpoint"))
    return RedirectResponse(f"/jobs/{job.id}", 303)


@router.get("/jobs/{name}")
def job(request: Request, name: str) -> Response:
    """How far a job is; its result when it is done."""
    found = _service(request).job(name)
    if found is None:
        return _page(request, "job_gone.html", 404)
    if found.state == "done":
        return RedirectResponse(found.place, 303)
    return _page(request, "job.html", job=found)


@router.post("/jobs/{name}/stop")
def stop(request: Request, name: str) -> Response:
    """Stops a job."""
    _service(request).cancel(name)
    return RedirectResponse(f"/jobs/{name}", 303)


@router.get("/reports")
def reports(request: Request) -> Response:
    """Pages of the folder of reports."""
    folder = _service(request).settings.reports
    names = sorted(path.name for path in folder.glob("*.html") if _is_report(path)) if folder else []
    return _page(request, "reports.html", names=names)


@router.get("/reports/{name}")
def report(request: Request, name: str) -> Response:
    """One of them, as it is; no script of it runs."""
    folder = _service(request).settings.reports
    path = next((path for path in folder.glob("*.html") if path.name == name), None) if folder else None
    if path is None or not _is_report(path):
        raise UnknownError(name, "no such report", "see the list of reports")
    return HTMLResponse(path.read_bytes(), headers={"content-security-policy": SANDBOX})


@router.get("/docs")
def docs(request: Request) -> Response:
    """The API, for people."""
    described = request.app.openapi()
    shown = list(operations(described, str(request.base_url).rstrip("/")))
    return _page(request, "docs.html", operations=shown, objects=list(objects(described)))


@router.get("/metrics")
def counts(request: Request) -> Response:
    """What the server counts, for Prometheus."""
    return PlainTextResponse(_service(request).counts(), headers={"content-type": metrics.TYPE})


@router.get("/login")
def login(request: Request) -> Response:
    """Asks for the token."""
    return _page(request, "login.html", wrong=False)


@router.post("/login")
async def enter(request: Request) -> Response:
    """Takes the token; the cookie lasts as long as the browser."""
    token, typed = _service(request).settings.token, await _field(request, "token")
    if not token or not hmac.compare_digest(typed.encode(), token.encode()):
        return _page(request, "login.html", status=401, wrong=True)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, session(token), httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Style, script and icon of the pages."""
    if name not in STATIC:
        raise HTTPException(404, "no such file")
    text, kind = STATIC[name]
    return Response(text, media_type=kind, headers={"cache-control": "max-age=300"})


def problem(request: Request, status: int, text: str) -> Response:
    """An error, for people."""
    return _page(request, "problem.html", status=status, text=text)


def _waiting(service: Service, kind: Kind, *digests: str) -> Response | None:
    """To the job of a result that is not there yet; None when it is."""
    job = service.begun(kind, *digests)
    return None if job is None or job.state == "done" else RedirectResponse(f"/jobs/{job.id}", 303)


def _grown(service: Service, digest: str) -> dict[str, Any]:
    """The tree of a model and its nearest relatives, as templates show it."""
    from kinprint.reports.tree_html import grown

    forest = service.tree(digest)
    return grown(forest) if forest else {"forest": None, "families": [], "drawn": ""}


async def _field(request: Request, name: str) -> str:
    """A field of a small form."""
    text = (await request.body()).decode("utf-8", "replace")
    return parse_qs(text, max_num_fields=4).get(name, [""])[0]


def _upload(request: Request, status: int = 200, wrong: str = "") -> Response:
    return _page(request, "upload.html", status, wrong=wrong, most=MAX_UPLOAD, remedy=REMEDY)


def _service(request: Request) -> Service:
    instance: Service = request.app.state.service
    return instance


def _page(request: Request, template: str, status: int = 200, **content: Any) -> Response:
    text = (
        environment(FOLDER)
        .get_template(template)
        .render(content, status=status, settings=_service(request).settings, path=request.url.path)
    )
    return HTMLResponse(text, status)


def _chooser(service: Service, side: Literal["reference", "suspect"], given: str, words: str) -> dict[str, Any]:
    """A list of models to choose one from.

    Args:
        given: a digest, a name, or words of one that was chosen before.
        words: what is searched for now.

    Returns:
        what the template `choose.html` shows; `chosen` is a digest if one model is plain.
    """
    catalogue, given = service.catalogue, given.strip()
    held = service.held.get(given)  # an upload is known to those who know its digest
    found = catalogue.find(Wanted(given), 0, 200) if given and held is None else None
    meant = [(given, held.name, "")] if held else [] if found is None else [_choice(model) for model in found.models]
    exact = [choice for choice in meant if given in choice[:2]]
    plain = exact if len(exact) == 1 else meant if len(meant) == 1 else []
    searched = words or (given if not plain else "")
    listed = catalogue.find(Wanted(searched), 0, CHOICES)
    choices = [*plain, *(choice for choice in map(_choice, listed.models) if choice not in plain)]
    return {
        "side": side,
        "chosen": plain[0][0] if plain else "",
        "words": searched,
        "choices": choices,
        "total": listed.total,
        "unknown": bool(given) and not meant,
    }


def _choice(model: Any) -> tuple[str, str, str]:
    """Digest, name, and what tells models of one name apart."""
    size = f"{model.parameters:,} parameters" if model.parameters is not None else ""
    return model.digest, model.name, ", ".join(filter(None, (model.family_name, size, model.digest[:12])))


def _is_report(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_REPORT
