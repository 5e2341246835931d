"""Serve Visdom, with its defects fixed from outside.

With tornado 6.6, visdom 0.2.4 answers each page with a 403. It also downloads its browser files from CDNs at each
start, reloads itself when a source file changes, and accepts requests from web pages of any origin. Here the files come
from a verified cache, one function checks every request, and an update keeps the size that the user gave a window.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import logging
import os
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
from visdom.utils.server_utils import broadcast, broadcast_envs

from monitor.dashboards.assets import cache as assets
from monitor.dashboards.ownership.parent_watch import Pages, yield_to_training
from monitor.dashboards.visdom import handlers
from monitor.dashboards.visdom.env_store import MAIN_ENV, Env, EnvStore, empty_env
from monitor.machine.network import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.dashboards.visdom.run_envs import RunEnvs

PAGE_FOLDER = Path(__file__).parents[1] / "page"
MAX_BODY_BYTES = 2**30  # as in visdom
HANDLERS = {
    r"/events": handlers.EventsHandler,
    r"/env/(.*)": handlers.EnvHandler,
    r"/compare/(.*)": handlers.CompareHandler,
    r"/save": handlers.SaveHandler,
    r"/fork_env": handlers.ForkHandler,
    r"/delete_env": handlers.DeleteHandler,
    r"/socket": handlers.PageSocket,
}  # in place of visdom's


class Login(NamedTuple):
    """The user who may use the server."""

    username: str
    password: str


class Application(visdom_app.Application):  # type: ignore[misc]
    """visdom's application, with the origin, host, and login checked for every route, including sockets."""

    def __init__(
        self, host: str, port: int, store: EnvStore, runs: RunEnvs | None, readonly: bool, login: Login | None
    ) -> None:
        self.store, self._runs = store, runs
        good = assets.verify(assets.cache_dir()).good
        roots = (str(assets.cache_dir()), str(PAGE_FOLDER), visdom_app.tornado_settings["static_path"])
        visdom_app.tornado_settings.update(
            static_handler_class=type("Files", (handlers.StaticFiles,), {"roots": roots, "cached": frozenset(good)}),
            template_loader=_templates(Path(visdom_app.tornado_settings["template_path"])),
            cookie_secret=secrets.token_hex(32),
            autoreload=False,
            serve_traceback=False,
            websocket_max_message_size=MAX_BODY_BYTES,
        )
        super().__init__(port=port, env_path=None, readonly=readonly)  # without a path, visdom touches no file
        self.settings["debug"] = False
        self.add_handlers(".*", [(path, handler, {"app": self}) for path, handler in HANDLERS.items()])
        self._local = is_loopback(host)
        if login is not None:
            self.login_enabled = True
            hashed = hashlib.sha256(hashlib.sha256(login.password.encode()).hexdigest().encode()).hexdigest()
            self.user_credential = {"username": login.username, "password": hashed}

    def load_state(self) -> dict[str, Env]:
        """Return the envs that are there at the start."""
        runs = {} if self._runs is None else self._runs.envs()
        return {MAIN_ENV: empty_env(), **self.store.load(), **runs}

    def load_layouts(self) -> str:
        """Return the views that pages have saved."""
        return self.store.load_layouts()

    def save_layouts(self) -> None:
        """Save the views."""
        self.store.save_layouts(self.layouts)

    def load_user_settings(self) -> dict[str, str]:
        """Return the style sheets of the user, one of which is beside the envs."""
        self.env_path: str | None = str(self.store.folder)
        try:
            found: dict[str, str] = super().load_user_settings()
        finally:
            self.env_path = None
        return found

    def note_page(self, env: str) -> None:
        """Take notice that a page shows an env."""
        if self._runs is not None:
            self._runs.opened(env)

    def note_window(self, env: str) -> None:
        """Take notice of a window that somebody sends."""
        if self._runs is not None:
            self._runs.note_window(env)

    def are_watched(self) -> set[str]:
        """Return the names of the envs that pages show; on any thread."""
        shown = [page.eid for page in list(self.subs.values())]
        return {name for names in shown for name in ([names] if isinstance(names, str) else names)}

    def tell_envs(self) -> None:
        """Tell all pages which envs there are."""
        broadcast_envs(self)

    def show_window(self, env: str, window: dict[str, Any]) -> None:
        """Show a window of an env on the pages that are open."""
        broadcast(self, window, env)

    def close_window(self, env: str, window: str) -> None:
        """Remove a window, on all pages too."""
        web_handlers.CloseHandler.wrap_func(self, {"eid": env, "win": window})

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        """Return visdom's handler of a request, or one that refuses it or shows the login."""
        reason = self._refusal_reason(request)
        if reason is not None:
            return self.get_handler_delegate(request, handlers.RefusalHandler, {"status": 403, "reason": reason})
        if self._needs_login(request):
            if request.method == "GET" and request.path.startswith(("/env/", "/compare/")):
                return self.get_handler_delegate(request, web_handlers.IndexHandler, {"app": self}, [b""])
            if request.path not in ("/", "/favicon.ico") and not request.path.startswith("/static/"):
                refusal = {"status": 401, "reason": "This dashboard needs a login."}
                return self.get_handler_delegate(request, handlers.RefusalHandler, refusal)
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
    store: EnvStore,
    *,
    runs: RunEnvs | None = None,
    login: Login | None = None,
    readonly: bool = False,
    pages: Pages | None = None,
    ready: Callable[[str], None],
) -> None:
    """Run the server until SIGINT or SIGTERM. Blocks.

    Args:
        host: the address to listen on.
        port: 0 for any free port.
        store: where envs are loaded from and saved.
        runs: the runs whose envs are shown too.
        login: the user who may use the server; None for everybody.
        readonly: whether pages may change nothing.
        pages: told which pages are open.
        ready: called with the address when the page answers.

    Raises:
        OSError: if the address cannot be bound.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name, for whom visdom's pages would fail
        os.environ["LOGNAME"] = "user"

    async def run() -> None:
        # visdom logs each window, and each request that fails, with its whole body.
        logging.getLogger().addHandler(logging.NullHandler())
        sockets = tornado.netutil.bind_sockets(port, host, family=_family(host))
        number = sockets[0].getsockname()[1]
        app = Application(host, number, store, runs, readonly, login)
        (pages or Pages()).are_open = lambda: bool(app.subs)  # the sockets of pages
        server = tornado.httpserver.HTTPServer(app, max_buffer_size=MAX_BODY_BYTES, max_body_size=MAX_BODY_BYTES)
        server.add_sockets(sockets)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, stop.set)
        name = f"[{host}]" if ":" in host else host
        if host in ("0.0.0.0", "::"):
            name = socket.gethostname()
        probe = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else name
        await tornado.httpclient.AsyncHTTPClient().fetch(f"http://{probe}:{number}/", request_timeout=30)
        yield_to_training()  # not earlier, because a user waits for the start
        if runs is not None:
            runs.start(app, f"http://{probe}:{number}", loop.call_soon_threadsafe)
        ready(f"http://{name}:{number}")
        await stop.wait()
        server.stop()

    asyncio.run(run())


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
