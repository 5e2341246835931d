"""Request handlers that replace some of Visdom's."""

from __future__ import annotations

import os
from typing import Any

import tornado.escape
import tornado.web
from visdom.server.handlers import web_handlers
from visdom.utils.server_utils import check_auth, extract_eid, gather_envs, register_window, window


class StaticFiles(tornado.web.StaticFileHandler):
    """Serve verified files of the cache, then files of this package, then those of visdom."""

    roots: tuple[str, ...] = ()
    cached: frozenset[str] = frozenset()  # names of the verified files in the first root

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """Return the path of a file in the first root that has it."""
        for folder in cls.roots:
            if folder == cls.roots[0] and path not in cls.cached:
                continue
            file = os.path.abspath(os.path.join(folder, path))  # noqa: PTH100, PTH118 - tornado compares strings
            if file.startswith(folder + os.sep) and os.path.isfile(file):  # noqa: PTH113
                return file
        return os.path.abspath(os.path.join(root, path))  # noqa: PTH100, PTH118

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Check the path against the root that it is in."""
        for folder in self.roots:
            if absolute_path.startswith(folder + os.sep):
                root = folder
        return super().validate_absolute_path(root, absolute_path)

    @classmethod
    def make_static_url(cls, settings: dict[str, Any], path: str, include_version: bool = True) -> str:
        """Return the URL of a file; a path outside the static files is left to the browser."""
        if path.startswith("../"):  # the style sheet of the user
            return str(settings["static_url_prefix"]) + path
        return super().make_static_url(settings, path, include_version)


class EventsHandler(web_handlers.PostHandler):  # type: ignore[misc]
    """Show a window; if it is shown already, keep the size that the user gave it."""

    @check_auth  # type: ignore[untyped-decorator]
    def post(self) -> None:
        """Store the window and send it to all pages."""
        message = tornado.escape.json_decode(self.request.body)
        env, new = extract_eid(message), window(message)
        old = self.state.get(env, {"jsons": {}})["jsons"].get(new["id"])
        size = {key: new[key] or (old or {}).get(key) for key in ("width", "height")}
        if old is not None:
            new.update(width=None, height=None)  # a page resizes a window if a message contains a size
        register_window(self, new, env)
        new.update(size)
        order = message.get("opts", {}).get("order")
        if isinstance(order, int):
            new["i"] = order  # pages that are opened later order their windows by it


class CompareHandler(web_handlers.CompareHandler):  # type: ignore[misc]
    """Compare envs; visdom's own handler fails if there is no folder of envs."""

    @check_auth  # type: ignore[untyped-decorator]
    def get(self, names: str) -> None:
        """Answer with the page of the envs in `names`, separated by `+`."""
        items = gather_envs(self.state, env_path=self.env_path)
        active = "+".join(name for name in names.split("+") if name in items)
        self.render("index.html", user="", items=items, active_item=active, wrap_socket=self.wrap_socket)


class RefusalHandler(tornado.web.RequestHandler):
    """Answer with a status and one line of text."""

    def initialize(self, status: int, reason: str) -> None:
        """Take the status and the text."""
        self.status, self.reason = status, reason

    def prepare(self) -> None:
        """Answer before a method is chosen, so that all methods are refused."""
        self.set_status(self.status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.reason + "\n")
