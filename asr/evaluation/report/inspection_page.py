"""A recording as the model hears it, as a page with a player: the pictures, and a cursor that runs along."""

import base64
from html import escape
from pathlib import Path
from typing import Any

from asr.evaluation.inspection import Inspection
from asr.evaluation.report.embedding import opus_bytes
from asr.evaluation.report.inspection_picture import Picture, draw, strips
from asr.evaluation.report.page import asset, data_element
from asr.events import Final, Partial
from asr.writing import write_whole


def write_page(x: Inspection, path: Path) -> None:
    """One file that needs no other and no network, written whole or not at all. Raises AsrError."""
    write_whole(path, page(x))


def page(x: Inspection) -> str:
    """The page's text."""
    pictures = [draw(x, from_s=from_s, to_s=to_s) for from_s, to_s in strips(x.duration_s)]
    sound = base64.b64encode(opus_bytes(x.samples)).decode("ascii")
    words = [[word.text, _round(word.start_s), _round(word.end_s), _round(word.confidence)] for word in x.words]
    facts = f"{x.duration_s:.2f} s" + (f" from {x.start_s:g} s on" if x.start_s else "")
    filled = {
        "title": escape(x.name),
        "facts": f"{facts} · {len(x.words)} words · live at {x.delay_ms:.0f} ms",
        "report.css": asset("report.css"),
        "strips": "\n".join(map(_strip, pictures)),
        "data": f'<script type="text/plain" id="sound">{sound}</script>\n'
        + data_element("data", {"words": words, "live": _live(x)}),
        "inspect.js": asset("inspect.js"),
    }
    text = asset("inspect.html")
    for name, value in filled.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def _strip(picture: Picture) -> str:
    place = f'data-from="{picture.from_s:.4f}" data-to="{picture.to_s:.4f}"'
    share = f'data-left="{picture.left:.5f}" data-right="{picture.right:.5f}"'
    image = base64.b64encode(picture.content).decode("ascii")
    name = f"{picture.from_s:.1f} to {picture.to_s:.1f} s"
    source = f'<img alt="{name}" src="data:image/png;base64,{image}">'
    return f'<div class="strip" {place} {share}>{source}<div class="cursor"></div></div>'


def _live(x: Inspection) -> list[list[Any]]:
    """What a person would have seen, and when: [seconds, text, stable characters; None for a final]."""
    shown: list[list[Any]] = []
    for heard in x.live.heard:
        if isinstance(heard.event, Partial):
            shown.append([_round(heard.at_s), heard.event.text, heard.event.stable_chars])
        elif isinstance(heard.event, Final):
            shown.append([_round(heard.at_s), heard.event.text, None])
    return shown


def _round(value: float) -> float | None:
    return None if value != value else round(value, 3)
