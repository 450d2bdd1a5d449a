"""A program for a pod of its own: answers each event as the event itself asks, and remembers every attempt.

The event's attribute `statuses` names the answers to its attempts, the last one for ever: `500-500-200`. `silent` is no
answer within `SILENT_SECONDS`. `retryafter` is sent back as Retry-After. What is posted below /dead is taken.
`GET /` gives all attempts. Only the standard library is there.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
SILENT_SECONDS = 3.0
_lock = threading.Lock()
_attempts: list[dict[str, object]] = []


class Receiver(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with _lock:
            body = json.dumps(_attempts).encode()
        self._answer(200, body)

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"])).decode()
        whole = json.loads(body) if headers["content-type"].startswith("application/cloudevents") else {}
        event = headers.get("ce-id") or whole["id"]
        attempt = {"path": self.path, "headers": headers, "body": body, "came": time.time()}
        with _lock:
            earlier = [one for one in _attempts if one["path"] == self.path and one["event"] == event]
            wanted = (headers.get("ce-statuses") or whole["statuses"]).split("-")
            status = "200" if self.path.startswith("/dead/") else wanted[min(len(earlier), len(wanted) - 1)]
            _attempts.append(attempt | {"event": event, "status": status})
            remembered = _attempts[-1]
        if status == "silent":
            time.sleep(SILENT_SECONDS)
            self.close_connection = True
            return
        remembered["answered"] = time.time()
        # Knative's broker takes any body beside a 2xx for a malformed reply event.
        self._answer(int(status), b"" if status < "300" else f"answered {status}".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if status >= 300 and self.headers["ce-retryafter"]:
            self.send_header("retry-after", self.headers["ce-retryafter"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Attempts are remembered, not logged."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Receiver).serve_forever()
