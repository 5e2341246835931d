"""Request handlers that replace some of Visdom's."""

from __future__ import annotations

import json
import os
from typing import Any

import tornado.escape
import tornado.web
from visdom.server.handlers import socket_handlers, web_handlers
from visdom.utils.server_utils import check_auth, escape_eid, extract_eid, register_window, window


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
        order = message.get("opts", {}).get("order")
        if isinstance(order, int):
            new["order"] = order  # for the page's script, which arranges the windows of an open page too
        self.application.note_window(env)
        old = self.state.get(env, {"jsons": {}})["jsons"].get(new["id"])
        size = {key: new[key] or (old or {}).get(key) for key in ("width", "height")}
        if old is not None:
            new.update(width=None, height=None)  # a page resizes a window if a message contains a size
        register_window(self, new, env)
        new.update(size)
        if isinstance(order, int):
            new["i"] = order  # pages that are opened later order their windows by it


class EnvHandler(web_handlers.EnvHandler):  # type: ignore[misc]
    """Show an env, whose windows may still have to be made."""

    @check_auth  # type: ignore[untyped-decorator]
    def post(self, name: str) -> None:
        """Send the windows to a page, or make an env."""
        self.application.note_page(name)
        super().post(name)


class CompareHandler(web_handlers.CompareHandler):  # type: ignore[misc]
    """Compare envs, of which some may be gone or still have to be made; visdom's own handler fails without a folder."""

    @check_auth  # type: ignore[untyped-decorator]
    def get(self, names: str) -> None:
        """Answer with the page of the envs in `names`, separated by `+`."""
        items = sorted(self.state)
        active = "+".join(name for name in names.split("+") if name in items)
        self.render("index.html", user="", items=items, active_item=active, wrap_socket=self.wrap_socket)

    @check_auth  # type: ignore[untyped-decorator]
    def post(self, names: str) -> None:
        """Send the windows that the envs share to a page."""
        there = [name for name in names.split("+") if name in self.state]
        for name in there:
            self.application.note_page(name)
        if there:
            super().post("+".join(there))


class SaveHandler(web_handlers.SaveHandler):  # type: ignore[misc]
    """Save envs where the next server finds them."""

    @staticmethod
    def wrap_func(handler: Any, arguments: Any) -> None:
        """Write the envs to disk; answer with the names of those that there are."""
        names = [name for name in map(escape_eid, arguments["data"]) if name in handler.state]
        for name in names:
            handler.application.store.save(name, handler.state[name])
        handler.write(json.dumps(names))


class ForkHandler(web_handlers.ForkEnvHandler):  # type: ignore[misc]
    """Copy an env, also on disk."""

    @staticmethod
    def wrap_func(handler: Any, arguments: Any) -> None:
        """Make the copy."""
        web_handlers.ForkEnvHandler.wrap_func(handler, arguments)
        name = escape_eid(arguments["eid"])
        handler.application.store.save(name, handler.state[name])


class DeleteHandler(web_handlers.DeleteEnvHandler):  # type: ignore[misc]
    """Remove an env, also if it was never saved."""

    @staticmethod
    def wrap_func(handler: Any, arguments: Any) -> None:
        """Remove it from all pages and from disk."""
        name = extract_eid(arguments)
        if name in handler.state:
            web_handlers.DeleteEnvHandler.wrap_func(handler, arguments)
        handler.application.store.delete(name)


class PageSocket(socket_handlers.SocketHandler):  # type: ignore[misc]
    """The connection of a page, which may save and remove envs."""

    def on_message(self, message: str) -> None:
        """Do what the page asks."""
        super().on_message(message)
        if self.readonly:
            return
        asked = tornado.escape.json_decode(message)
        if asked.get("cmd") == "save" and {"data", "eid"} <= asked.keys():
            self.app.store.save(self.eid, self.state[self.eid])
        elif asked.get("cmd") == "delete_env" and "eid" in asked:
            self.app.store.delete(asked["eid"])


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
