"""Who may ask, how much, and what a browser may do with the answer.

Without a token the server is for programs and people on this machine, not for a stranger's page in their browser. Such a page
is recognised by the name under which it reaches the server (DNS rebinding), or by the origin that the browser states (forged
requests).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kinprint.server.metrics import Metrics
from kinprint.server.settings import MAX_BODY, MAX_UPLOAD, Settings
from kinprint.server.uploads import REMEDY

COOKIE = "kinprint_session"
OPEN = ("/login", "/static/style.css", "/static/script.js", "/static/icon.svg")
"""Pages that need no token."""

UPLOADS = ("/api/fingerprints", "/upload")

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


def allowed(text: str) -> str:
    """A style or script, in a content policy, that a page may carry inside."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy_for(script: str, *styles: str) -> str:
    """The content policy of a page that carries this script and these styles inside, and nothing else."""
    styled = POLICY.replace("style-src 'self'", f"style-src {' '.join(map(allowed, styles))}")
    return styled.replace("script-src 'self'", f"script-src {allowed(script)}")


def policy_with(style: str) -> str:
    """The content policy of a page of the server with a picture that carries this style."""
    return POLICY.replace("style-src 'self'", f"style-src 'self' {allowed(style)}")


SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The policy of pages that lie in the folder of reports: whoever made them, no script of theirs runs here."""


def session(token: str) -> str:
    """Value of the cookie of a client that knows the token; it does not reveal the token."""
    return hmac.new(token.encode(), b"kinprint session", hashlib.sha256).hexdigest()


class Guard:
    """Middleware around the whole application; it counts every answer."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        refused = self._foreign(headers, method) or self._stranger(headers, path)
        limit = MAX_UPLOAD if path in UPLOADS else MAX_BODY
        size = _stated_size(headers)
        if size is None:
            refused = refused or _problem(400, "the content length is no number")
        answer = self._sent(scope, send)
        if refused is not None:
            await refused(scope, receive, answer)
            return
        more = f"; {REMEDY}" if path in UPLOADS else ""
        await self.app(scope, _Counted(receive, limit, size or 0, f"more than the {limit:,} bytes allowed{more}"), answer)

    def _sent(self, scope: Scope, send: Send) -> Send:
        """`send` with the headers of every answer; it counts answers by the route that was found."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *_missing(names)]
                self.metrics.request(scope["method"], getattr(scope.get("route"), "path", ""), message["status"])
            await send(message)

        return sent

    def _foreign(self, headers: Headers, method: str) -> Response | None:
        """A refusal of requests that were addressed to another name, or sent by a page of another origin."""
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or "" if _plain(host) else ""
        if self.settings.hosts and name not in self.settings.hosts:
            return _problem(421, "this server is not known by that name")
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and (urlsplit(origin).netloc if _plain(origin) else "") != host:
            return _problem(403, "sent by a page of another origin")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest") != "document":
            return _problem(403, "part of a page of another site")  # a link to a page is followed; a picture starts no work
        return None

    def _stranger(self, headers: Headers, path: str) -> Response | None:
        """A refusal of clients that do not know the token."""
        token = self.settings.token
        if not token or path in OPEN:
            return None
        authorization = headers.get("authorization", "")
        if hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if hmac.compare_digest(cookie.encode(), session(token).encode()):
            return None
        if "text/html" in headers.get("accept", "") and not path.startswith("/api/"):
            return RedirectResponse("/login", 303)
        return _problem(401, "a token is needed: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})


class _Counted:
    """`receive` that refuses what says that it is too large, and stops at a number of bytes whatever the headers said."""

    def __init__(self, receive: Receive, limit: int, stated: int, problem: str) -> None:
        self.receive, self.left, self.problem = receive, limit if stated <= limit else -1, problem

    async def __call__(self) -> Message:
        if self.left >= 0:
            message = await self.receive()
            self.left -= len(message.get("body", b""))
        if self.left < 0:
            raise HTTPException(413, self.problem)
        return message


def _stated_size(headers: Headers) -> int | None:
    """Bytes that the headers say, 0 if they say nothing; None if that is no number."""
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 15 else None


def _plain(text: str) -> bool:
    return (text.isascii() and text.isprintable() and not set(text) & set("[]")) or text.startswith(("[", "http"))


def _problem(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)


def _missing(present: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    names = set(present)
    return [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in names]
