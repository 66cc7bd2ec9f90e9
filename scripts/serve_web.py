"""Serves web/ over https with a certificate of its own: the camera, and threads, are for pages of a secure origin alone.

`make web` builds the engine and calls this; it prints the address to open on a phone of the same network.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Handler(SimpleHTTPRequestHandler):
    """Files of web/, and those of another folder under /plans/."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".wasm": "application/wasm"}  # noqa: RUF012

    def __init__(self, *arguments: object, plans: Path) -> None:
        self.plans = plans
        super().__init__(*arguments, directory=str(ROOT / "web"))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        inside = Path(super().translate_path(path)).relative_to(ROOT / "web")
        return str(self.plans.joinpath(*inside.parts[1:]) if inside.parts[:1] == ("plans",) else ROOT / "web" / inside)

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        """Answers with the names of its plans, as JSON."""
        content = json.dumps(sorted(file.name for file in Path(path).glob("*.plan"))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, *_: object) -> None:
        """Says nothing of what goes well."""


def server(plans: Path, address: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server that is not started yet, of plain http."""
    return ThreadingHTTPServer((address, port), partial(Handler, plans=plans))


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """One for this host, made once; browsers warn of it, since nobody else vouches for it."""
    folder.mkdir(parents=True, exist_ok=True)
    key, file = folder / "key.pem", folder / f"{host}.pem"
    if not (key.exists() and file.exists()):
        names = f"subjectAltName=DNS:localhost,DNS:{socket.gethostname()},IP:127.0.0.1,IP:{host}"
        made = ["-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=shufflekit", "-addext", names]
        subprocess.run(["openssl", "req", "-x509", *made, "-keyout", key, "-out", file], check=True, capture_output=True)
    return key, file


def own_address() -> str:
    """The address by which others of the network reach this machine; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def secure_server(plans: Path, port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """One of https for all of the network, not started yet, and its address."""
    host = own_address()
    key, file = certificate(ROOT / "build" / "web-certificate", host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    made = server(plans, "0.0.0.0", port)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    return made, f"https://{host}:{made.server_port}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=8443)
    options.add_argument("--plans", type=Path, default=ROOT / "build" / "web-plans", help="folder that is served as /plans/")
    given = options.parse_args()
    running, address = secure_server(given.plans, given.port)
    sys.stdout.write(f"{address}/demo/  (the browser warns of the certificate, which was made here)\n")
    sys.stdout.flush()
    with running:
        running.serve_forever()


if __name__ == "__main__":
    main()
