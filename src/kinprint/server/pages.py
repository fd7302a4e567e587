"""The pages: browse, search, compare, upload, watch, read reports."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kinprint.errors import UnknownError
from kinprint.reports import comparison_html
from kinprint.reports.pages import SCRIPT, STYLE, environment
from kinprint.reports.tree_html import grown
from kinprint.reports.tree_svg import STYLE as TREE_STYLE
from kinprint.server.api import InPath
from kinprint.server.guard import COOKIE, SANDBOX, policy_for, policy_with, session
from kinprint.server.service import Service
from kinprint.terms import CANDIDATES

FOLDER = Path(__file__).with_name("templates")
STATIC = {
    "style.css": (STYLE + (FOLDER / "server.css").read_text(encoding="utf-8"), "text/css"),
    "script.js": (SCRIPT + (FOLDER / "server.js").read_text(encoding="utf-8"), "text/javascript"),
    "icon.svg": ((FOLDER / "icon.svg").read_text(encoding="utf-8"), "image/svg+xml"),
}
A_PAGE = 50
"""Models listed on one page."""

MAX_REPORT = 64_000_000

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Text = Annotated[str, Query(max_length=200)]


@router.get("/")
def browse(request: Request, q: Text = "", page: Annotated[int, Query(ge=1, le=1_000_000)] = 1) -> Response:
    """The library, and a search by words."""
    models = _service(request).catalogue.find(q, (page - 1) * A_PAGE, A_PAGE)
    return _page(request, "browse.html", listed=models, q=q, page=page, pages=-(-models.total // A_PAGE))


@router.get("/models/{digest}")
def model(request: Request, digest: InPath) -> Response:
    """What is known of a model, and what can be done with it."""
    return _page(request, "model.html", model=_service(request).fingerprint(digest))


@router.get("/models/{digest}/relatives")
def relatives(request: Request, digest: InPath) -> Response:
    """The model's relatives in the library."""
    service = _service(request)
    if waiting := _searching(request, digest):
        return waiting
    identification = service.identify(digest, CANDIDATES)
    return _page(request, "relatives.html", model=service.fingerprint(digest), identification=identification)


@router.get("/models/{digest}/tree")
def tree(request: Request, digest: InPath) -> Response:
    """The model among its nearest relatives."""
    service = _service(request)
    if waiting := _searching(request, digest):
        return waiting
    forest = service.tree(digest)
    shown = grown(forest) if forest else {"forest": None, "families": [], "drawn": ""}
    answer = _page(request, "tree_of.html", model=service.fingerprint(digest), **shown)
    answer.headers["content-security-policy"] = policy_with(TREE_STYLE)
    return answer


@router.get("/compare")
def compare(request: Request, reference: Text = "", suspect: Text = "") -> Response:
    """Choose two models by name or digest; where both are plain, their comparison."""
    service = _service(request)
    chosen = {side: _meant(service, text) for side, text in (("reference", reference), ("suspect", suspect))}
    if all(len(meant) == 1 for meant in chosen.values()):
        return RedirectResponse(f"/compare/{chosen['reference'][0][0]}/{chosen['suspect'][0][0]}", 303)
    return _page(request, "compare.html", reference=reference, suspect=suspect, chosen=chosen)


@router.get("/compare/{reference}/{suspect}")
def comparison(request: Request, reference: InPath, suspect: InPath) -> Response:
    """The report of two models."""
    comparison = _service(request).compare(reference, suspect)
    page = comparison_html(comparison, command=f"kinprint compare {reference[:16]}.kinprint {suspect[:16]}.kinprint")
    return HTMLResponse(page, headers={"content-security-policy": policy_for(STYLE, SCRIPT)})


@router.get("/upload")
def upload(request: Request) -> Response:
    """A form for a fingerprint."""
    return _page(request, "upload.html")


@router.get("/runs")
def runs(request: Request) -> Response:
    """Models that can be fingerprinted, and fingerprints under way."""
    service = _service(request)
    return _page(request, "runs.html", checkpoints=service.folders.list(), runs=service.runs.all())


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


@router.get("/login")
def login(request: Request) -> Response:
    """Asks for the token."""
    return _page(request, "login.html", wrong=False)


@router.post("/login")
async def enter(request: Request) -> Response:
    """Takes the token; the cookie lasts as long as the browser."""
    token = _service(request).settings.token
    typed = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4).get("token", [""])[0]
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


def _searching(request: Request, digest: str) -> Response | None:
    """How far the search for a model's relatives is; None when it is done."""
    run = _service(request).search(digest)
    if run is None or run.state == "done":
        return None
    return _page(request, "searching.html", model=_service(request).fingerprint(digest), run=run)


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


def _meant(service: Service, text: str) -> list[tuple[str, str]]:
    """(digest, name) of the models that a text may mean, a few at most."""
    words = text.strip()
    if not words:
        return []
    held = service.shelf.get(words)
    if held is not None:
        return [(held.digest, held.name)]
    models = service.catalogue.find(words, 0, 200).models
    exact = [model for model in models if words in (model.name, model.digest)]
    return [(model.digest, model.name) for model in (exact or models)[:20]]


def _is_report(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_REPORT
