"""The head written anew: what is end-to-end stays, what is hop-by-hop goes."""

from __future__ import annotations

from model import (SMUGGLED, Answer, Case, End, Outcome, Request, Send, Serve, http, passed,
                   reached, refused, req)

POST = "POST /containers/create"


def stripped(name: str, *fields: str, left: tuple[str, ...] = ("X-Keep: 1",), **kw) -> Case:
    return passed(name, req("GET /version", "X-Keep: 1", *fields), reached("GET /version", *left),
                  **kw)


def listed(name: str, value: str, *fields: str) -> Case:
    """A field that may not be listed in Connection: refused."""
    return refused(f"Connection lists {name}",
                   req(POST, f"Connection: {value}", *fields, body="hello") + SMUGGLED)


def dropped_or_refused(name: str, fields: tuple[str, ...], left: tuple[str, ...]) -> Case:
    """Both are safe: 400, or the request with only the fields that are left."""
    return Case(name, (Send(req("GET /version", *fields)),),
                Outcome((), (400,), refusal=True),
                (Outcome(((reached("GET /version", *left),),), (200,), End.OPEN),
                 Outcome(((reached("GET /version"),),), (200,), End.OPEN)))


ANSWER = http("200 OK", "X-Keep: 1", "Connection: X-Gone", "X-Gone: 1", "Keep-Alive: timeout=5",
              "Proxy-Connection: keep-alive", "Upgrade: h2c", "Proxy-Authenticate: Basic",
              "Set-Cookie: a", "Set-Cookie: b", "Api-Version: 1.41", body="{}")

CASES = (
    stripped("Connection: keep-alive", "Connection: keep-alive"),
    stripped("Keep-Alive", "Keep-Alive: timeout=5"),
    stripped("Proxy-Connection", "Proxy-Connection: keep-alive"),
    stripped("Proxy-Authorization", "Proxy-Authorization: Basic dTpw"),
    stripped("Proxy-Authenticate", "Proxy-Authenticate: Basic"),
    stripped("TE", "TE: trailers"),
    stripped("TE that asks for chunked", "TE: chunked"),
    # RFC 9110 6.6.2: end-to-end, as the trailers of a chunked body, which travel as they came.
    stripped("Trailer stays", "Trailer: X-A", left=("X-Keep: 1", "Trailer: X-A")),
    stripped("HTTP2-Settings", "Connection: HTTP2-Settings", "HTTP2-Settings: AAMAAABk"),
    stripped("a field that Connection lists", "Connection: X-Gone", "X-Gone: 1"),
    stripped("a field listed before it comes, in other letters", "Connection: x-gONE",
             "X-Gone: 1"),
    stripped("a listed field that comes twice", "X-Gone: 1", "Connection: X-Gone", "x-gone: 2"),
    stripped("a list with spaces and empty members", "Connection: ,, X-Gone\t,  X-More ,",
             "X-Gone: 1", "X-More: 2"),
    stripped("two Connection fields", "Connection: X-Gone", "Connection: X-More", "X-Gone: 1",
             "X-More: 2"),
    stripped("a listed field is not a prefix", "Connection: X-Gon", "X-Gone: 1",
             left=("X-Keep: 1", "X-Gone: 1")),
    stripped("Connection lists itself", "Connection: Connection, X-Gone", "X-Gone: 1"),
    passed("Connection: close", req("GET /version", "Connection: close") + SMUGGLED,
           reached("GET /version", close=None), end=End.CLEAN, closing=True),
    passed("Connection: ClOsE in a list", req("GET /version", "Connection: x, ClOsE") + SMUGGLED,
           reached("GET /version", close=None), end=End.CLEAN, closing=True),
    dropped_or_refused("Connection lists Content-Type",
                       ("Content-Type: application/json", "Connection: content-type"), ()),
    dropped_or_refused("Connection lists X-Registry-Auth",
                       ("Connection: X-Registry-Auth", "X-Registry-Auth: e30="), ()),
    listed("Host", "Host", "Content-Length: 5"),
    listed("hOST", "x, hOST", "Content-Length: 5"),
    listed("Content-Length", "Content-Length", "Content-Length: 5"),
    listed("Content-Length among others", "close, content-length , x", "Content-Length: 5"),
    listed("Transfer-Encoding", "Transfer-Encoding", "Transfer-Encoding: chunked"),
    passed("order, case and repetition stay",
           req("GET /version", "b: 1", "A: 2", "b: 3", "X-Docker-Expose-Session-Uuid: u",
               "X-Docker-Expose-Session-Grpc-Method: /a", "B: 4",
               "X-Docker-Expose-Session-Grpc-Method: /b", "User-Agent: Docker-Client/28 (linux)"),
           reached("GET /version", "b: 1", "A: 2", "b: 3", "X-Docker-Expose-Session-Uuid: u",
                   "X-Docker-Expose-Session-Grpc-Method: /a", "B: 4",
                   "X-Docker-Expose-Session-Grpc-Method: /b",
                   "User-Agent: Docker-Client/28 (linux)")),
    passed("an empty value stays", req("GET /version", "X-Empty:", "X-B: 1"),
           reached("GET /version", "X-Empty:", "X-B: 1")),
    passed("X-Registry-Auth and X-Registry-Config stay",
           req("GET /version", "X-Registry-Auth: e30=", "X-Registry-Config: e30="),
           reached("GET /version", "X-Registry-Auth: e30=", "X-Registry-Config: e30=")),
    passed("every token character in a name", req("GET /version", "!#$%&'*+-.^_`|~09azAZ: 1"),
           reached("GET /version", "!#$%&'*+-.^_`|~09azAZ: 1")),
    passed("names that begin or end like framing",
           req("GET /version", "X-Content-Length: 5", "Content-Lengthy: 5", "Hosts: x"),
           reached("GET /version", "X-Content-Length: 5", "Content-Lengthy: 5", "Hosts: x")),
    dropped_or_refused("Content_Length", ("Content_Length: 5",), ("Content_Length: 5",)),
    dropped_or_refused("Transfer_Encoding", ("Transfer_Encoding: chunked",),
                       ("Transfer_Encoding: chunked",)),
    Case("a tab in a value", (Send(req("GET /version", "X-A: a\tb")),),
         Outcome(((reached("GET /version", "X-A: a\tb"),),), (200,), End.OPEN),
         (Outcome((), (400,), refusal=True),)),
    Case("bytes above 0x7f in a value", (Send(req("GET /version", "X-A: \xc3\xa9")),),
         Outcome(((reached("GET /version", "X-A: \xc3\xa9"),),), (200,), End.OPEN),
         (Outcome((), (400,), refusal=True),)),
    passed("the answer's fields, too", req("GET /version"), reached("GET /version"),
           scripts=((Request(), Answer(ANSWER), Serve()),), bodies=(b"{}",),
           fields=("X-Keep: 1", "Set-Cookie: a", "Set-Cookie: b", "Api-Version: 1.41"),
           absent=("x-gone", "keep-alive", "proxy-connection", "upgrade")),
)
