"""A web server on this machine: whole files, files that break off, 404; where nobody listens; archives and sheets."""

import io
import socket
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openpyxl


class Handler(BaseHTTPRequestHandler):
    def __init__(self, server, *args):
        self.at = server
        super().__init__(*args)

    def do_GET(self):
        self.at.asked.append(self.path)
        if self.path not in self.at.files:
            self.send_error(404)
            return
        content, start = self.at.files[self.path], 0
        if self.at.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.at.starts.append(start)
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        sent = content[start:]
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent[: len(sent) // 2] if self.path in self.at.cut else sent)

    def log_message(self, *args):
        pass


@contextmanager
def serving(monkeypatch, files):
    """Serve path -> content at `.at`; `.cut` are paths that break off, `.asked` what was asked for."""
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), None)
    server.RequestHandlerClass = partial(Handler, server)
    server.daemon_threads = True
    server.files, server.cut, server.asked, server.starts, server.ranges = files, set(), [], [], True
    server.at = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def nobody_there():
    """Give an address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def zipped(files, comment=""):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = comment.encode()
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def workbook(
    path, rows, sheet="Accuracy per motion", columns=("animation_index", "True answer", "P1_answer", "P2_answer")
):
    book = openpyxl.Workbook()
    book.active.title = "Summary"
    page = book.create_sheet(sheet)
    for row in [(*columns, "Accuracy"), *rows]:
        page.append(row)
    book.save(path)
    book.close()
    return path
