#!/usr/bin/env python3
"""Receives webhooks of Renderyard with nothing but Python 3.9 or newer.

    WEBHOOK_SECRET=whsec_… PORT=9000 python3 receiver.py
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Seconds by which a timestamp may differ from our clock, either way. What is older may be somebody's recording.
TOLERANCE_S = 300
# Renderyard sends less than 20,000 bytes.
MOST_BYTES = 65536


def read_secret(secret):
    """The key that a secret holds. An empty key would let anybody sign."""
    prefix, _, encoded = secret.partition("whsec_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if prefix or len(key) < 24:
        raise ValueError("WEBHOOK_SECRET must be the secret of the webhook: whsec_ and base64.")
    return key


def verify(headers, body, secret, now=None):
    """Raises ValueError unless the webhook was signed with the secret, within five minutes.

    `body` is the bytes as they came: not parsed and written again. `now`: seconds since 1970.
    """
    key = read_secret(secret)
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise ValueError("webhook-timestamp is no number of seconds.")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_S:
        raise ValueError("webhook-timestamp is more than five minutes away from our clock.")
    signed = f"{event_id}.{timestamp}.".encode() + body
    expected = hmac.new(key, signed, hashlib.sha256).digest()
    # Several signatures stand there while a secret is replaced by another: one of them is ours.
    for each in headers.get("webhook-signature", "").split(" "):
        version, _, encoded = each.partition(",")
        try:
            given = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        if version == "v1" and hmac.compare_digest(given, expected):
            return
    raise ValueError("No signature is right: the body, a header or the secret is another.")


class Receiver(BaseHTTPRequestHandler):
    # Ids of events that were handled. In earnest: a unique column of your database, written with what the event changes.
    handled = set()
    timeout = 10

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return self.answer(411)
        if len(length) > 9 or int(length) > MOST_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        try:
            verify(self.headers, body, os.environ["WEBHOOK_SECRET"])
        except ValueError as error:
            print(f"refused: {error}", file=sys.stderr, flush=True)
            return self.answer(401)
        event_id = self.headers["webhook-id"]
        # At least once means: sometimes twice. The id is the same then.
        if event_id not in self.handled:
            self.handled.add(event_id)
            # Answer first, work later: whatever takes long belongs into a queue.
            print(event_id, json.loads(body).get("type"), flush=True)
        # 2xx says that the event has arrived and is not to be sent again.
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    try:
        read_secret(os.environ.get("WEBHOOK_SECRET", ""))
    except ValueError as error:
        sys.exit(str(error))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT") or 9000)), Receiver)
    print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
