"""Messages that show windows on Visdom's page, and what all of them share.

Whatever a user logs is harmless: it is escaped where the page expects HTML, and control characters are shown as text.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import orjson

from monitor.render.pictures.media import enlarged
from monitor.render.text.escaping import escape_control_chars, escape_html

if TYPE_CHECKING:
    from monitor.render.pictures.images import PngImage

PLOT_SIZE_PX = {"width": 410, "height": 300}
WIDE_PLOT_SIZE_PX = {"width": 830, "height": 300}  # with a legend beside the chart
TEXT_SIZE_PX = {"width": 300, "height": 300}
MAX_IMAGE_WIDTH_PX = 800
MIN_IMAGE_WIDTH_PX, MAX_ENLARGED_HEIGHT_PX = 200, 600  # smaller images are enlarged, so that the title can be read too
SPARE_HEIGHT_PX = 16  # above an image, where the page leaves a gap

TOP_PX = {"title": 42, "legend": 28, "nothing": 12}  # the margin above a plot, by what is there

Message = dict[str, Any]


def image_window(title: str, image: PngImage) -> Message:
    """Show a PNG or GIF image in its natural size; if it is small, enlarged until its pixels and the title can be read.

    The natural size is that of the image divided by its density, within limits.
    """
    factor = min(-(-MIN_IMAGE_WIDTH_PX // image.width), MAX_ENLARGED_HEIGHT_PX // image.height)
    if factor > 2:
        image, factor = enlarged(image, factor), 1
    media_type = "gif" if image.png.startswith(b"GIF") else "png"
    source = f"data:image/{media_type};base64,{b64encode(image.png).decode()}"
    width = max(image.width / image.density, min(image.width * max(1, factor), PLOT_SIZE_PX["width"]))
    scale = min(width, MAX_IMAGE_WIDTH_PX) / image.width
    return {
        "data": [{"type": "image", "content": {"src": source}}],
        "opts": {
            "title": escape_control_chars(title),
            "width": image.width * scale,
            "height": image.height * scale + SPARE_HEIGHT_PX,
        },
    }


def text_window(title: str, body: str) -> Message:
    """Show preformatted text."""
    return html_window(title, f'<pre style="border:0;background:none">{escape_html(body)}</pre>', **TEXT_SIZE_PX)


def html_window(title: str, content: str, width: int, height: int) -> Message:
    """Show HTML, in which all that a user logged is escaped."""
    size = {"width": width, "height": height}
    return {"data": [{"type": "text", "content": content}], "opts": {"title": escape_control_chars(title), **size}}


def without_repeated_title(message: Message) -> Message:
    """Return a window whose figure does not begin its own title with that of the window, which is above it.

    What is left of the title, such as the step, stays, and there is no empty room for what is gone.
    """
    figure_layout: Message = message.get("layout") or {}
    title = figure_layout.get("title")
    text = title.get("text") if isinstance(title, dict) else title
    name = escape_html(message["opts"]["title"])
    if not isinstance(text, str) or not (text == name or text.startswith(f"{name} · ")):
        return message
    own = {key: value for key, value in figure_layout.items() if key != "title"}
    rest = text.removeprefix(name).removeprefix(" · ")
    if rest:
        own["title"] = {**title, "text": rest} if isinstance(title, dict) else rest
    top = TOP_PX["title" if rest else "legend" if own.get("showlegend") else "nothing"]
    own["margin"] = {**(own.get("margin") or {}), "t": top}
    return {**message, "layout": own}


def saved_window(message: Message, number: int) -> Message:
    """Return a window as Visdom's server stores it in the file of an env; `number` is its position on the page."""
    first, opts = message["data"][0], message["opts"]
    is_plot = "layout" in message
    return {
        "command": "window",
        "id": message["win"],
        "title": opts["title"],
        "inflate": True,
        "width": opts["width"],
        "height": opts["height"],
        "contentID": f"window_{number}",
        "type": "plot" if is_plot else first["type"],
        "content": {"data": message["data"], "layout": message["layout"]} if is_plot else first["content"],
        "i": number,
        "order": opts.get("order", number),
    }


def encode(message: Message) -> bytes:
    """Encode a message as JSON, with null for NaN and infinity. Raises `TypeError` for what JSON cannot hold."""
    return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)


def layout(title: str, x: str, y: str) -> Message:
    """Return the layout of a Plotly figure with labels for its axes."""
    return {
        "title": {
            "text": escape_html(title),
            "font": {"size": 13},
            "x": 0.03,
            "xanchor": "left",
            "y": 0.98,
            "yanchor": "top",
        },
        "xaxis": {"title": {"text": escape_html(x), "standoff": 8}, "automargin": True},
        "yaxis": {"title": {"text": escape_html(y), "standoff": 8}, "automargin": True},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "margin": {"l": 45, "r": 15, "t": 55, "b": 35},
        "uirevision": "keep",  # an update does not change the user's zoom
    }


def clean_env_name(name: str) -> str:
    """Turn a name into the name of an env, which the page inserts into addresses and scripts unescaped."""
    return re.sub(r"[^\w.-]+", "-", name.replace("/", "_")).strip("-") or "run"
