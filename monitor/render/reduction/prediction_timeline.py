"""Draw the timeline of predictions as a PNG image that contains its numbers, so that a resumed run can continue it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from monitor.metrics import TIMELINE_KEY
from monitor.prediction_timeline import FORGOTTEN, MAX_TESTS, RIGHT, WRONG, PredictionTimeline
from monitor.render.pictures.images import PngImage
from monitor.render.pictures.png_text import has_text, read_text, with_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLORS = {RIGHT: "#8fbcdb", WRONG: "#f4b183", FORGOTTEN: "#c00000"}  # also told apart by who sees no red or green
STATE_NAMES = {RIGHT: "right", WRONG: "wrong", FORGOTTEN: "forgotten: right at the test before"}
TEXT_COLOR, PALE_COLOR, BACKGROUND_COLOR = "#202020", "#606060", "#ffffff"
MAX_ROWS = 100  # samples that are drawn, those first that were forgotten most often
ROW_PX, MIN_WIDTH_PX = 16, 500
LABEL_WIDTH_PX, HEADING_PX, FOOTING_PX = 170, 44, 24
MAX_LABEL_CHARS = 14
MAX_SAMPLES = 4096  # of a timeline that is read back


def row_label(timeline: PredictionTimeline, sample: int) -> str:
    """Return the number of a sample, its true class, and how often it was forgotten, if it was."""
    name = timeline.label(int(timeline.target[sample]))
    name = name if len(name) <= MAX_LABEL_CHARS else f"{name[: MAX_LABEL_CHARS - 1]}…"
    count = int(timeline.forgettings[sample])
    return f"{sample}: {name}" + (f" ×{count}" if count else "")


def heading(timeline: PredictionTimeline) -> str:
    """Return the counts in words."""
    counts = timeline.counts()
    events = counts["forgetting_events"]
    times = f" ({events} time{'s' if events != 1 else ''})" if events else ""
    return (
        f"step {counts['step']} · {counts['samples']} samples: {counts['learned']} learned, "
        f"{counts['forgotten']} forgotten{times}, {counts['never_learned']} never learned"
    )


def timeline_image(timeline: PredictionTimeline) -> PngImage:
    """Draw a row per sample and a column per test, those samples first that were forgotten most often."""
    rows = timeline.order()[:MAX_ROWS]
    tests = len(timeline.steps)
    cell = max(6, min(48, (MIN_WIDTH_PX - LABEL_WIDTH_PX) // tests))
    width = max(MIN_WIDTH_PX, LABEL_WIDTH_PX + tests * cell + 8)
    left_out = len(timeline.target) - len(rows)
    height = HEADING_PX + len(rows) * ROW_PX + FOOTING_PX
    sheet = Image.new("RGB", (width, height), BACKGROUND_COLOR)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    draw.text((4, 4), heading(timeline), fill=TEXT_COLOR, font=font)
    x = 4
    for state, name in STATE_NAMES.items():
        draw.rectangle((x, 25, x + 10, 35), fill=COLORS[state])
        draw.text((x + 15, 30), name, fill=PALE_COLOR, font=font, anchor="lm")
        x += 30 + int(draw.textlength(name, font))
    for row, sample in enumerate(rows):
        top = HEADING_PX + row * ROW_PX
        label = row_label(timeline, sample).replace("×", "x")  # which the font lacks
        draw.text((LABEL_WIDTH_PX - 6, top + ROW_PX // 2), label, fill=TEXT_COLOR, font=font, anchor="rm")
        for test in range(tests):
            left = LABEL_WIDTH_PX + test * cell
            draw.rectangle(
                (left, top, left + cell - 2, top + ROW_PX - 2), fill=COLORS[int(timeline.states[test, sample])]
            )
    bottom = height - FOOTING_PX // 2
    draw.text((LABEL_WIDTH_PX, bottom), f"step {timeline.steps[0]}", fill=PALE_COLOR, font=font, anchor="lm")
    right = LABEL_WIDTH_PX + tests * cell
    draw.text((right, bottom), str(timeline.steps[-1]), fill=PALE_COLOR, font=font, anchor="rm")
    if left_out:
        draw.text((4, bottom), f"and {left_out} more", fill=PALE_COLOR, font=font, anchor="lm")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=6)
    return with_timeline(PngImage(buffer.getvalue(), width, height), timeline)


def with_timeline(picture: PngImage, timeline: PredictionTimeline) -> PngImage:
    """Return the picture with the numbers of a timeline in a text chunk, in front of its pixels."""
    return with_text(picture, TIMELINE_KEY, json.dumps(_to_json(timeline)).encode())


def read_timeline(png: bytes) -> PredictionTimeline | None:
    """Return what `with_timeline` put into an image; None for any other content."""
    if not has_text(png, TIMELINE_KEY):
        return None
    try:
        return _from_json(json.loads(read_text(png, TIMELINE_KEY)))
    except Exception:  # damaged, or not ours: a file may hold anything
        return None


def _to_json(timeline: PredictionTimeline) -> dict[str, Any]:
    """Return the fields without the names of classes, which come again with the next test."""
    fields = timeline._replace(names=())._asdict()
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}


def _from_json(fields: dict[str, Any]) -> PredictionTimeline:
    """Return the timeline. Raises many kinds of exceptions for what is none."""
    types: dict[str, type[Any]] = {
        "target": np.int64,
        "steps": np.int64,
        "numbers": np.int64,
        "predicted": np.int64,
        "states": np.uint8,
        "forgettings": np.int64,
        "learned": np.bool_,
    }
    arrays: dict[str, NDArray[Any]] = {name: np.array(fields[name], kind) for name, kind in types.items()}
    timeline = PredictionTimeline(str(fields["samples"]), names=(), tests=int(fields["tests"]), **arrays)
    tests, samples = len(timeline.steps), len(timeline.target)
    shapes = {"target": (samples,), "steps": (tests,), "numbers": (tests,), "predicted": (tests, samples)}
    shapes |= {"states": (tests, samples), "forgettings": (samples,), "learned": (samples,)}
    if any(arrays[name].shape != shape for name, shape in shapes.items()):
        raise ValueError("the parts of a timeline do not fit together")
    if not (0 < tests <= MAX_TESTS and 0 < samples <= MAX_SAMPLES):
        raise ValueError("a timeline is too large")
    if (timeline.states > FORGOTTEN).any():
        raise ValueError("a timeline has states that are none")
    return timeline
