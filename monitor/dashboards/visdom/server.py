"""Serve Visdom, with its defects fixed from outside.

With tornado 6.6, visdom 0.2.4 answers each page with a 403. It also downloads its browser files from CDNs at each
start, reloads itself when a source file changes, and accepts requests from web pages of any origin. Here the files come
from a verified cache, one function checks every request, and an update keeps the size that the user gave a window.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.template
import tornado.web
from visdom.server import app as visdom_app
from visdom.server.handlers import web_handlers

from monitor.dashboards.assets import cache as assets
from monitor.dashboards.parent_watch import Pages, yield_to_training
from monitor.dashboards.visdom.handlers import CompareHandler, EventsHandler, RefusalHandler, StaticFiles
from monitor.network import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_FOLDER = Path(__file__).parents[1] / "page"
MAX_BODY_BYTES = 2**30  # as in visdom


class Login(NamedTuple):
    """The user who may use the server."""

    username: str
    password: str


class Application(visdom_app.Application):  # type: ignore[misc]
    """visdom's application, with the origin, host, and login checked for every route, including sockets."""

    def __init__(self, host: str, port: int, env_dir: Path | None, readonly: bool, login: Login | None) -> None:
        good = assets.verify(assets.cache_dir()).good
        roots = (str(assets.cache_dir()), str(PAGE_FOLDER), visdom_app.tornado_settings["static_path"])
        visdom_app.tornado_settings.update(
            static_handler_class=type("Files", (StaticFiles,), {"roots": roots, "cached": frozenset(good)}),
            template_loader=_templates(Path(visdom_app.tornado_settings["template_path"])),
            cookie_secret=secrets.token_hex(32),
            autoreload=False,
            serve_traceback=False,
            websocket_max_message_size=MAX_BODY_BYTES,
        )
        super().__init__(
            port=port,
            env_path=str(env_dir) if env_dir else None,
            readonly=readonly,
            eager_data_loading=True,  # an env that is loaded later is saved empty
        )
        self.settings["debug"] = False
        self.add_handlers(
            ".*", [(r"/events", EventsHandler, {"app": self}), (r"/compare/(.*)", CompareHandler, {"app": self})]
        )
        self._local = is_loopback(host)
        if login is not None:
            self.login_enabled = True
            hashed = hashlib.sha256(hashlib.sha256(login.password.encode()).hexdigest().encode()).hexdigest()
            self.user_credential = {"username": login.username, "password": hashed}

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        """Return visdom's handler of a request, or one that refuses it or shows the login."""
        reason = self._refusal_reason(request)
        if reason is not None:
            return self.get_handler_delegate(request, RefusalHandler, {"status": 403, "reason": reason})
        if self._needs_login(request):
            if request.method == "GET" and request.path.startswith(("/env/", "/compare/")):
                return self.get_handler_delegate(request, web_handlers.IndexHandler, {"app": self}, [b""])
            if request.path not in ("/", "/favicon.ico") and not request.path.startswith("/static/"):
                refusal = {"status": 401, "reason": "This dashboard needs a login."}
                return self.get_handler_delegate(request, RefusalHandler, refusal)
        return super().find_handler(request, **kwargs)

    def _refusal_reason(self, request: Any) -> str | None:
        """Tell why to refuse a request of a page of another site, which cannot hide its origin; None to accept it."""
        origin = request.headers.get("Origin") or request.headers.get("Sec-Websocket-Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
            return "Pages of another origin must not use this dashboard."
        if self._local and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
            return "This dashboard is available as localhost and 127.0.0.1 only."
        return None

    def _needs_login(self, request: Any) -> bool:
        if not self.login_enabled:
            return False
        morsel = request.cookies.get("user_password")
        secret = self.settings["cookie_secret"]
        return not (morsel and tornado.web.decode_signed_value(secret, "user_password", morsel.value))


def _templates(folder: Path) -> tornado.template.DictLoader:
    """Return visdom's pages, with the scripts of this package inserted before visdom's."""
    pages = {path.name: path.read_text("utf-8") for path in folder.glob("*.html")}
    visdom_script = '<script src={{ static_url("js/main.js") }}></script>'
    names = sorted(path.name for path in (PAGE_FOLDER / "js" / "monitor").glob("*.js"))
    scripts = "".join(f'<script src={{{{ static_url("js/monitor/{name}") }}}}></script>\n    ' for name in names)
    pages["index.html"] = pages["index.html"].replace(visdom_script, scripts + visdom_script)
    pages["error.html"] = "<!doctype html><title>Error</title><p>The request failed.</p>"
    return tornado.template.DictLoader(pages, autoescape=None)


def serve(
    host: str,
    port: int,
    env_dir: Path | None,
    *,
    login: Login | None = None,
    readonly: bool = False,
    pages: Pages | None = None,
    ready: Callable[[str], None],
) -> None:
    """Run the server until SIGINT or SIGTERM. Blocks.

    Args:
        host: the address to listen on.
        port: 0 for any free port.
        env_dir: where envs are loaded from and saved; None for nowhere.
        login: the user who may use the server; None for everybody.
        readonly: whether pages may change nothing.
        pages: told which pages are open.
        ready: called with the address when the page answers.

    Raises:
        OSError: if the address cannot be bound.
    """
    asyncio.run(_serve(host, port, env_dir, login, readonly, pages or Pages(), ready))


async def _serve(
    host: str,
    port: int,
    env_dir: Path | None,
    login: Login | None,
    readonly: bool,
    pages: Pages,
    ready: Callable[[str], None],
) -> None:
    # visdom logs each window, and each request that fails, with its whole body.
    logging.getLogger().addHandler(logging.NullHandler())
    sockets = tornado.netutil.bind_sockets(port, host, family=_family(host))
    port = sockets[0].getsockname()[1]
    app = Application(host, port, env_dir, readonly, login)
    pages.are_open = lambda: bool(app.subs)  # the sockets of pages
    server = tornado.httpserver.HTTPServer(app, max_buffer_size=MAX_BODY_BYTES, max_body_size=MAX_BODY_BYTES)
    server.add_sockets(sockets)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
    probe = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else name
    await tornado.httpclient.AsyncHTTPClient().fetch(f"http://{probe}:{port}/", request_timeout=30)
    yield_to_training()  # not earlier, because a user waits for the start
    ready(f"http://{name}:{port}")
    await stop.wait()
    server.stop()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
