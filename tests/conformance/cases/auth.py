"""The token: each request on its own, the same answer for missing and wrong."""

from __future__ import annotations

from model import (BASIC, SHORT, SMUGGLED, TOKEN, Await, Case, End, Outcome, Pause, Send, passed,
                   reached, refused, req, with_length)

WRONG = "0" * 64


def accepted(name: str, *fields: str) -> Case:
    return passed(name, req("GET /version", "X-A: b", *fields, auth=None),
                  reached("GET /version", "X-A: b"))


def denied(name: str, *fields: str, grouped: bool = True) -> Case:
    """401, and always the same bytes; the good request behind it does not count any more."""
    return refused(name, req("GET /version", *fields, auth=None) + SMUGGLED, 401,
                   group="auth/401" if grouped else "")


def either(name: str, *fields: str, status: tuple[int, ...] = (400, 401)) -> Case:
    """Refused, or taken for what it is: but the token never goes on."""
    return Case(name, (Send(req("GET /version", *fields, auth=None)),),
                Outcome((), (status,), refusal=True),
                (Outcome(((reached("GET /version"),),), (200,), End.OPEN),))


def second(name: str, request: bytes, status: int, pipelined: bool = False) -> Case:
    """Refused behind a request with a body: the log does not count that body twice."""
    first = req("POST /containers/create", "Content-Length: 1000", body="x" * 1000)
    steps = (Send(first + request),) if pipelined else (Send(first), Await(1), Send(request))
    return Case(f"the log of a refusal behind a body: {name}", steps,
                Outcome(((with_length("POST /containers/create", "x" * 1000),),), (200, status),
                        refusal=True),
                log_has=rf"(?m) 200 up=1000/.*(?s:.)* {status} up=0/",
                log_lacks=rf" {status} up=[1-9]")


CASES = (
    accepted("token", f"token: {TOKEN}"),
    accepted("token in other letters", f"ToKeN: {TOKEN}"),
    accepted("token with spaces around", f"token: \t {TOKEN} \t"),
    accepted("token without a space", f"token:{TOKEN}"),
    accepted("Bearer", f"Authorization: Bearer {TOKEN}"),
    accepted("bearer in small letters", f"authorization: bearer {TOKEN}"),
    accepted("Basic", f"Authorization: Basic {BASIC}"),
    accepted("token that Connection lists", f"token: {TOKEN}", "Connection: token"),
    accepted("Authorization that Connection lists", f"Authorization: Bearer {TOKEN}",
             "Connection: authorization"),
    denied("missing"),
    denied("wrong", f"token: {WRONG}"),
    denied("empty", "token:"),
    denied("one character short", f"token: {SHORT}"),
    denied("one character more", f"token: {TOKEN}0"),
    denied("one character before", f"token: 0{TOKEN}"),
    denied("twice in one field", f"token: {TOKEN}, {TOKEN}"),
    denied("a list with the right one first", f"token: {TOKEN}, {WRONG}"),
    denied("in quotes", f"token: \"{TOKEN}\""),
    denied("very long", "token: " + "f" * 8000),
    denied("wrong Bearer", f"Authorization: Bearer {WRONG}"),
    denied("empty Bearer", "Authorization: Bearer"),
    denied("Bearer with two words", f"Authorization: Bearer {TOKEN} x"),
    denied("token as the scheme", f"Authorization: {TOKEN}"),
    denied("Bearer in the token field", f"token: Bearer {TOKEN}"),
    denied("wrong Basic", "Authorization: Basic dXNlcjp3cm9uZw=="),
    denied("Basic without a colon", "Authorization: Basic dXNlcg=="),
    denied("Basic that is not base64", "Authorization: Basic !!!!"),
    denied("Basic with something behind the padding", f"Authorization: Basic {BASIC}=x"),
    denied("empty Basic", "Authorization: Basic"),
    denied("raw token as Basic", f"Authorization: Basic {TOKEN}"),
    denied("Digest", f"Authorization: Digest {TOKEN}"),
    denied("in Proxy-Authorization", f"Proxy-Authorization: Bearer {TOKEN}"),
    denied("in a cookie", f"Cookie: token={TOKEN}"),
    denied("in X-Token", f"X-Token: {TOKEN}"),
    denied("in X-Registry-Auth", f"X-Registry-Auth: {TOKEN}"),
    refused("in the query", req(f"GET /version?token={TOKEN}", auth=None) + SMUGGLED, 401,
            group="auth/401"),
    refused("in the path", req(f"GET /t/{TOKEN}/version", auth=None) + SMUGGLED, 401,
            group="auth/401"),
    refused("two token fields", req("GET /version", f"token: {TOKEN}") + SMUGGLED),
    refused("two token fields, one wrong", req("GET /version", f"token: {WRONG}") + SMUGGLED),
    refused("two token fields, the wrong one first",
            req("GET /version", f"token: {TOKEN}", auth=f"token: {WRONG}") + SMUGGLED),
    refused("two Authorization fields",
            req("GET /version", f"Authorization: Bearer {TOKEN}",
                auth=f"Authorization: Bearer {TOKEN}") + SMUGGLED),
    refused("two Authorization fields, Basic and Bearer",
            req("GET /version", f"Authorization: Basic {BASIC}",
                auth=f"Authorization: Bearer {WRONG}") + SMUGGLED),
    either("token and Authorization, both right", f"token: {TOKEN}",
           f"Authorization: Bearer {TOKEN}"),
    either("token wrong, Authorization right", f"token: {WRONG}",
           f"Authorization: Bearer {TOKEN}"),
    either("token right, Authorization wrong", f"token: {TOKEN}",
           f"Authorization: Bearer {WRONG}"),
    either("two spaces behind Bearer", f"Authorization: Bearer  {TOKEN}"),
    refused("Origin", req("GET /version", "Origin: https://evil.example") + SMUGGLED, 403),
    refused("Origin null", req("GET /version", "Origin: null") + SMUGGLED, 403),
    refused("Origin empty", req("GET /version", "Origin:") + SMUGGLED, (400, 403)),
    refused("Origin in other letters", req("GET /version", "oRIGIN: https://a") + SMUGGLED, 403),
    refused("Origin that Connection lists",
            req("GET /version", "Origin: https://a", "Connection: origin") + SMUGGLED, 403),
    refused("Origin without a token", req("GET /version", "Origin: https://a", auth=None),
            (401, 403)),
    refused("Origin on an upgrade", req("GET /containers/x/attach/ws", "Origin: https://a",
            "Connection: Upgrade", "Upgrade: websocket") + SMUGGLED, 403),
    refused("HEAD without a token", req("HEAD /_ping", auth=None) + SMUGGLED, 401, bodiless=(0,)),
    refused("an unknown path without a token", req("GET /nothing/there", auth=None), 401,
            group="auth/401"),
    refused("an unknown method without a token", req("BREW /version", auth=None), 401,
            group="auth/401"),
    refused("before the body is there",
            (Send(req("POST /containers/create", "Content-Length: 1000", auth=None)),), 401,
            group="auth/401"),
    refused("before a chunked body is there",
            (Send(req("POST /images/load", "Transfer-Encoding: chunked", auth=None)),), 401,
            group="auth/401"),
    refused("with the body there", req("POST /containers/create", "Content-Length: 5", auth=None,
            body="hello") + SMUGGLED, 401, group="auth/401"),
    refused("no 100 before a 401",
            (Send(req("POST /images/load", "Content-Length: 5", "Expect: 100-continue",
                      auth=None)),), 401, group="auth/401"),
    refused("an upgrade without a token",
            req("POST /containers/x/attach", "Connection: Upgrade", "Upgrade: tcp", auth=None,
                body="held") + SMUGGLED, 401, group="auth/401"),
    refused("after the refusal nothing counts",
            (Send(req("GET /version", auth=None)), Pause(0.2), Send(SMUGGLED)), 401,
            group="auth/401"),
    Case("the second request without a token",
         (Send(req("GET /version")), Await(1), Send(req("GET /info", auth=None) + SMUGGLED)),
         Outcome(((reached("GET /version"),),), (200, 401), refusal=True)),
    Case("the second request with a wrong token",
         (Send(req("GET /version")), Await(1),
          Send(req("GET /info", auth=f"token: {WRONG}") + SMUGGLED)),
         Outcome(((reached("GET /version"),),), (200, 401), refusal=True)),
    Case("the second of two pipelined requests without a token",
         (Send(req("GET /version") + req("GET /info", auth=None) + SMUGGLED),),
         Outcome(((reached("GET /version"),),), (200, 401), refusal=True)),
    Case("the request behind a body without a token",
         (Send(req("POST /containers/create", "Content-Length: 5", body="hello")
               + req("POST /containers/x/start", auth=None) + SMUGGLED),),
         Outcome(((with_length("POST /containers/create", "hello"),),), (200, 401),
                 refusal=True)),
    second("no token", req("GET /info", auth=None), 401),
    second("no token, pipelined", req("GET /info", auth=None), 401, pipelined=True),
    second("Origin", req("GET /info", "Origin: https://a"), 403),
    second("malformed", b"GET /info\n\n", 400),
    second("two token fields", req("GET /info", f"token: {TOKEN}"), 400),
    passed("each of three requests in another way",
           (Send(req("GET /a")), Await(1),
            Send(req("GET /b", auth=f"Authorization: Bearer {TOKEN}")), Await(2),
            Send(req("GET /c", auth=f"Authorization: Basic {BASIC}"))),
           reached("GET /a"), reached("GET /b"), reached("GET /c")),
)
