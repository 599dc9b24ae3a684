"""Streams: one request a connection, Connection: close on both legs."""

from __future__ import annotations

from model import (SMUGGLED, Answer, Await, AwaitEnd, Case, CloseNotify, Close, Eof, End, Fin,
                   Outcome, Pause, Request, Rst, Send, Wait, chunks, http, reached, req, streamed,
                   with_length)

ROUTES = (
    "GET /containers/x/logs?follow=1", "GET /services/x/logs?follow=1", "GET /tasks/x/logs",
    "GET /v1.47/containers/x/logs", "GET /events", "GET /v1.41/events?since=1",
    "GET /containers/x/stats", "POST /containers/x/wait?condition=next-exit",
    "POST /images/create?fromImage=a", "POST /images/a/push",
    "POST /images/registry:5000/a/b/push", "POST /build?t=a", "POST /images/load",
    "GET /images/get?names=a", "GET /images/a/get", "GET /images/registry:5000/a/b/get",
    "GET /containers/x/export", "GET /containers/x/archive?path=/", "PUT /containers/x/archive",
)

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def answered(name: str, target: str, script: tuple, body: bytes, **kw) -> Case:
    return streamed(name, kw.pop("steps", req(f"GET {target}") + SMUGGLED),
                    reached(f"GET {target}", close=True), scripts=(script,),
                    bodies=(body,), **kw)


CASES = tuple(
    streamed(f"route {route.split('?')[0]}", req(route) + SMUGGLED, reached(route, close=True))
    for route in ROUTES
) + (
    streamed("a Content-Length body", req("POST /build", "Content-Length: 5", body="hello")
             + SMUGGLED, with_length("POST /build", "hello", close=True)),
    streamed("Connection: keep-alive does not keep it",
             req("GET /events", "Connection: keep-alive") + SMUGGLED,
             reached("GET /events", close=True)),
    streamed("a second request, later",
             (Send(req("GET /events")), Pause(0.1), Send(SMUGGLED), Await(1)),
             reached("GET /events", close=True),
             scripts=((Request(), Wait(0.3), Answer(http("200 OK", "Connection: close",
                                                         body="{}"))),)),
    streamed("a second request in the middle of the answer",
             (Send(req("GET /events")), Pause(0.15), Send(SMUGGLED)),
             reached("GET /events", close=True),
             scripts=((Request(), Answer(_CHUNKED + b"1\r\na\r\n"), Wait(0.3),
                       Answer(b"1\r\nb\r\n0\r\n\r\n"), Close()),), bodies=(b"ab",)),
    answered("a chunked answer", "/events",
             (Request(), Answer(_CHUNKED + chunks("one\n", "two\n")), Close()), b"one\ntwo\n"),
    answered("a chunked answer of an engine that keeps its connection", "/events",
             (Request(), Answer(_CHUNKED.replace(b"Connection: close\r\n", b"")
                                + chunks("one\n", "two\n"))), b"one\ntwo\n"),
    answered("an answer without a length", "/containers/x/logs",
             (Request(), Answer(http("200 OK", "Content-Type: application/vnd.docker.raw-stream",
                                     length=False, body="log\n")), Close()), b"log\n"),
    answered("a silence longer than the head deadline", "/events",
             (Request(), Answer(_CHUNKED + b"1\r\na\r\n"), Wait(2.8),
              Answer(b"1\r\nb\r\n0\r\n\r\n"), Close()), b"ab", slow=True, at_least=2.5,
             steps=(Send(req("GET /events")),)),
    answered("a head that comes late", "/images/a/get",
             (Request(), Wait(2.8), Answer(_CHUNKED + chunks("a")), Close()), b"a", slow=True,
             at_least=2.5, steps=(Send(req("GET /images/a/get")),)),
    Case("the client half-closes by close_notify, the stream goes on",
         (Send(req("GET /events")), Pause(0.05), CloseNotify()),
         Outcome(((reached("GET /events", close=True),),), (200,), End.CLEAN, bodies=(b"ab",)),
         scripts=((Request(), Answer(_CHUNKED + b"1\r\na\r\n"), Eof(), Wait(0.1),
                   Answer(b"1\r\nb\r\n0\r\n\r\n"), Close()),)),
    Case("the client half-closes by FIN, the stream goes on",
         (Send(req("GET /events")), Pause(0.05), Fin()),
         Outcome(((reached("GET /events", close=True),),), (200,), End.CLEAN, bodies=(b"ab",)),
         scripts=((Request(), Answer(_CHUNKED + b"1\r\na\r\n"), Eof(), Wait(0.1),
                   Answer(b"1\r\nb\r\n0\r\n\r\n"), Close()),)),
    Case("the client aborts in the middle",
         (Send(req("GET /events")), Pause(0.1), Rst()),
         Outcome(((reached("GET /events", close=True),),), (), End.ANY),
         (Outcome(((reached("GET /events", close=True),),), (200,), End.ANY),),
         scripts=((Request(), Answer(_CHUNKED + b"1\r\na\r\n"), Eof()),)),
    Case("the engine breaks off in the middle of a chunk",
         (Send(req("GET /events")), AwaitEnd()),
         Outcome(((reached("GET /events", close=True),),), (200,), End.CUT),
         scripts=((Request(), Answer(_CHUNKED + b"5\r\nhel"), Close()),)),
    Case("the engine breaks off between two chunks",
         (Send(req("GET /events")), AwaitEnd()),
         Outcome(((reached("GET /events", close=True),),), (200,), End.CUT),
         scripts=((Request(), Answer(_CHUNKED + b"5\r\nhello\r\n"), Close()),)),
)
