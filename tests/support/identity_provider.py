"""A small identity provider of its own on the loopback address: OpenID Connect with PKCE, and ways to misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "hepatica"
SECRET = "a secret/of: the client"


class IdentityProvider:
    """Runs until `stop`. ``change`` alters the claims of the next tokens, ``header`` their header."""

    def __init__(self) -> None:
        self.keys = [_make_key("k1")]
        self.person = {"sub": "person-1", "email": "ada@house.example", "email_verified": True}
        self.change: dict = {}
        self.header: dict = {}
        self.sign_with = None
        self.description: dict = {}
        self.codes: dict[str, dict] = {}
        self.asked: list[str] = []
        self.answer_instead: dict[str, tuple[int, bytes]] = {}
        own = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args):
                pass

            def do_GET(self):
                own.asked.append(urlsplit(self.path).path)
                own._answer(self, "GET", b"")

            def do_POST(self):
                own.asked.append(urlsplit(self.path).path)
                own._answer(self, "POST", self.rfile.read(int(self.headers["content-length"])))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}/realm"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is gone."""
        self.keys = [_make_key(f"k{len(self.asked)}-new")]

    def log_in(self, address: str, **more) -> str:
        """What the provider does after a person's login: the address that the browser is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split() and asked["client_id"] == CLIENT
        code = f"code-{len(self.codes)}"
        self.codes[code] = {**asked, "at": time.time()}
        back = {"code": code, "state": asked["state"], "iss": self.issuer, **more}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def make_token(self, asked: dict) -> str:
        now = int(asked["at"])
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "auth_time": now, **self.person, **self.change,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.sign_with or self.keys[0]
        header = {"alg": "RS256", "kid": self.keys[0].kid, **self.header}
        if header["alg"] == "none":
            return f"{_encode(json.dumps(header))}.{_encode(json.dumps(claims))}."
        if header["alg"] == "HS256":
            # The confusion of algorithms: the public key, which everybody has, as the secret one.
            signed = f"{_encode(json.dumps(header))}.{_encode(json.dumps(claims))}"
            mark = hmac.digest(self.keys[0].as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])

    def _answer(self, request, method: str, body: bytes) -> None:
        path = urlsplit(request.path).path
        if path in self.answer_instead:
            self._send(request, *self.answer_instead[path])
        elif path == "/realm/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/login",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/end", **self.description,
            }  # fmt: skip
            self._send(request, 200, json.dumps(document).encode())
        elif path == "/realm/keys":
            keys = [key.as_dict(private=False) | {"use": "sig"} for key in self.keys]
            self._send(request, 200, json.dumps({"keys": keys}).encode())
        elif path == "/realm/token" and method == "POST":
            self._send(request, *self._exchange(request, body))
        else:
            self._send(request, 404, b"{}")

    def _exchange(self, request, body: bytes) -> tuple[int, bytes]:
        sent = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        word, _, given = request.headers.get("authorization", "").partition(" ")
        if word != "Basic" or base64.b64decode(given).decode() != f"{CLIENT}:{SECRET}":
            return 401, b'{"error": "invalid_client"}'
        asked = self.codes.pop(sent.get("code", ""), None)
        verifier = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or sent["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return 400, b'{"error": "invalid_grant"}'
        token = {"access_token": "unused", "token_type": "Bearer", "id_token": self.make_token(asked)}
        return 200, json.dumps(token).encode()

    @staticmethod
    def _send(request, status: int, body: bytes) -> None:
        request.send_response(status)
        if status == 302:
            request.send_header("location", body.decode())
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _make_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": kid})


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
