"""Headless Chromium, driven by its debugging protocol: open a page, press things, read what is there."""

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio"),
    *("--remote-debugging-port=0", "--autoplay-policy=no-user-gesture-required", "--window-size=1440,1000"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
)


class Page:
    """One tab. events keeps everything that Chromium tells: requests, console, exceptions."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers, self.events = socket, itertools.count(1), list[dict[str, Any]]()
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def evaluate(self, script: str) -> Any:
        """The value of an expression; promises are awaited."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, script: str, *, timeout_s: float = 20.0) -> Any:
        """The first value of an expression that is true. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if value := self.evaluate(script):
                return value
            time.sleep(0.05)
        raise TimeoutError(script)

    def picture(self, path: Path) -> None:
        """What is on the screen, as PNG: to look at."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def events_named(self, *methods: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") in methods]


@contextmanager
def open_page(path: Path, folder: Path, *, shows: str = ".row") -> Iterator[Page]:
    """The page of a file, once an element `shows` is there; folder is for Chromium's own files."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_address(folder), max_size=None) as socket:
            page = Page(socket)
            page.call("Page.navigate", url=path.resolve().as_uri())
            page.wait_for(f"document.readyState === 'complete' && document.querySelector('{shows}') !== null")
            yield page
    finally:
        browser.terminate()
        browser.wait(timeout=10)


def _address(folder: Path) -> str:
    """The first tab's own address, once Chromium has written its port down."""
    import urllib.request

    note, end = folder / "DevToolsActivePort", time.monotonic() + 30
    while time.monotonic() < end:
        if note.is_file() and len(note.read_text().splitlines()) == 2:
            port = note.read_text().splitlines()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as response:
                tabs = [x for x in json.load(response) if x["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise TimeoutError("Chromium did not start in 30 s")
