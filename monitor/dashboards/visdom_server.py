"""Serve Visdom with its defects fixed from outside.

visdom 0.2.4 answers 403 on every page with tornado 6.6, downloads its browser files from CDNs at each start, reloads
itself when a source file changes, and accepts posts from web pages of any origin. Here the files come from a checked
cache, every request passes one check, and the window sizes that a user chose survive an update.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import tornado.escape
import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.template
import tornado.web
from visdom.server import app as visdom_app
from visdom.server.handlers import web_handlers
from visdom.utils.server_utils import check_auth, extract_eid, gather_envs, register_window, window

from monitor.dashboards import assets
from monitor.dashboards.parent_watch import yield_to_training
from monitor.network import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_FOLDER = Path(__file__).parent / "page"
MAX_BODY_BYTES = 2**30  # bytes, as visdom has it


class Login(NamedTuple):
    """Who may use the server."""

    username: str
    password: str


class StaticFiles(tornado.web.StaticFileHandler):
    """Serve the checked files of the cache, then this package's, then visdom's."""

    roots: tuple[str, ...] = ()
    cached: frozenset[str] = frozenset()  # names in the first root that are known to be good

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        for folder in cls.roots:
            if folder == cls.roots[0] and path not in cls.cached:
                continue
            file = os.path.abspath(os.path.join(folder, path))  # noqa: PTH100, PTH118 - tornado compares strings
            if file.startswith(folder + os.sep) and os.path.isfile(file):  # noqa: PTH113
                return file
        return os.path.abspath(os.path.join(root, path))  # noqa: PTH100, PTH118

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        for folder in self.roots:
            if absolute_path.startswith(folder + os.sep):
                root = folder
        return super().validate_absolute_path(root, absolute_path)

    @classmethod
    def make_static_url(cls, settings: dict[str, Any], path: str, include_version: bool = True) -> str:
        if path.startswith("../"):  # the page's own style sheet, which is no static file; the browser resolves it
            return str(settings["static_url_prefix"]) + path
        return super().make_static_url(settings, path, include_version)


class EventsHandler(web_handlers.PostHandler):  # type: ignore[misc]
    """Put a window up; where it is up already, leave the size that the user gave it."""

    @check_auth  # type: ignore[untyped-decorator]
    def post(self) -> None:
        message = tornado.escape.json_decode(self.request.body)
        env, new = extract_eid(message), window(message)
        old = self.state.get(env, {"jsons": {}})["jsons"].get(new["id"])
        size = {key: new[key] or (old or {}).get(key) for key in ("width", "height")}
        if old is not None:
            new.update(width=None, height=None)  # a page takes a size for a wish to be resized
        register_window(self, new, env)
        new.update(size)
        order = message.get("opts", {}).get("order")
        if isinstance(order, int):
            new["i"] = order  # a page that is opened later lays its windows out by this


class CompareHandler(web_handlers.CompareHandler):  # type: ignore[misc]
    """Compare envs; visdom's own looks for them in a folder that may not be there."""

    @check_auth  # type: ignore[untyped-decorator]
    def get(self, names: str) -> None:
        items = gather_envs(self.state, env_path=self.env_path)
        active = "+".join(name for name in names.split("+") if name in items)
        self.render("index.html", user="", items=items, active_item=active, wrap_socket=self.wrap_socket)


class RefusalHandler(tornado.web.RequestHandler):
    """Answer with a status and one line of text."""

    def initialize(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason

    def prepare(self) -> None:
        self.set_status(self.status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.reason + "\n")


class Application(visdom_app.Application):  # type: ignore[misc]
    """visdom's application behind one door: origin, host and login are checked for every route, sockets too."""

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
            eager_data_loading=True,  # an env that is loaded late is saved as nothing
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
        refused = self._refusal(request)
        if refused is not None:
            return self.get_handler_delegate(request, RefusalHandler, {"status": refused[0], "reason": refused[1]})
        if self._wants_login(request):
            if request.method == "GET" and request.path.startswith(("/env/", "/compare/")):
                return self.get_handler_delegate(request, web_handlers.IndexHandler, {"app": self}, [b""])
            if request.path not in ("/", "/favicon.ico") and not request.path.startswith("/static/"):
                refusal = {"status": 401, "reason": "This dashboard wants a login."}
                return self.get_handler_delegate(request, RefusalHandler, refusal)
        return super().find_handler(request, **kwargs)

    def _refusal(self, request: Any) -> tuple[int, str] | None:
        """Keep other sites' pages out: they may send requests here, but cannot hide where they come from."""
        origin = request.headers.get("Origin") or request.headers.get("Sec-Websocket-Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
            return 403, "A page of another origin may not talk to this dashboard."
        if self._local and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
            return 403, "This dashboard answers to localhost and 127.0.0.1 only."
        return None

    def _wants_login(self, request: Any) -> bool:
        if not self.login_enabled:
            return False
        morsel = request.cookies.get("user_password")
        secret = self.settings["cookie_secret"]
        return not (morsel and tornado.web.decode_signed_value(secret, "user_password", morsel.value))


def _templates(folder: Path) -> tornado.template.DictLoader:
    """Return visdom's pages, with this package's script put in before visdom's own."""
    pages = {path.name: path.read_text("utf-8") for path in folder.glob("*.html")}
    visdom_script = '<script src={{ static_url("js/main.js") }}></script>'
    monitor_script = '<script src={{ static_url("js/monitor.js") }}></script>\n    '
    pages["index.html"] = pages["index.html"].replace(visdom_script, monitor_script + visdom_script)
    pages["error.html"] = "<!doctype html><title>Error</title><p>The request could not be answered.</p>"
    return tornado.template.DictLoader(pages, autoescape=None)


def serve(
    host: str,
    port: int,
    env_dir: Path | None,
    *,
    login: Login | None = None,
    readonly: bool = False,
    ready: Callable[[str], None],
) -> None:
    """Run the server until SIGINT or SIGTERM. Blocks.

    Port 0 takes a free one. `ready` is called with the address once the page answers. Raises `OSError` if the address
    cannot be bound.
    """
    asyncio.run(_serve(host, port, env_dir, login, readonly, ready))


async def _serve(
    host: str,
    port: int,
    env_dir: Path | None,
    login: Login | None,
    readonly: bool,
    ready: Callable[[str], None],
) -> None:
    # visdom logs every request that it cannot answer, with its whole body, and a message for each window.
    logging.getLogger().addHandler(logging.NullHandler())
    sockets = tornado.netutil.bind_sockets(port, host, family=_family(host))
    port = sockets[0].getsockname()[1]
    app = Application(host, port, env_dir, readonly, login)
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
    yield_to_training()  # not earlier: somebody waits for the start
    ready(f"http://{name}:{port}")
    await stop.wait()
    server.stop()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
