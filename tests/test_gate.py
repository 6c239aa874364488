"""What does not run answers 503; a host's path and an error page are put right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    NoMatchFound,
    Route,
    Router,
    WebSocketRoute,
)
from starlette.testclient import TestClient, WebSocketDenialResponse

from fps_lite.gate import guarded, masking, unavailable, with_whole_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import URLPath
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket


async def page(request: Request) -> Response:
    return PlainTextResponse(str(request.url_for("page").path))


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


class Custom(BaseRoute):
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["path"] == "/own" else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("own")(scope, receive, send)


ROUTES = [
    Route("/page", page, name="page"),
    WebSocketRoute("/talk", talk),
    Mount("/m", routes=[Route("/page", page, name="inner")], name="m"),
    Custom(),
    Host("h.example.org", Router([Route("/host", page)])),
]


class Switch:
    down = False

    def __call__(self) -> bool:
        return self.down


def sent(app: ASGIApp, scope: Scope) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return messages


def client(routes: Sequence[BaseRoute], switch: Switch) -> TestClient:
    return TestClient(Starlette(routes=[guarded(route, "shop", switch) for route in routes]))


@pytest.mark.parametrize(
    "url", ["/page", "/m/page", "/own", "http://h.example.org/host", "/m/nothing"]
)
def test_a_guarded_route_answers_503_while_its_plugin_is_down(url: str) -> None:
    switch = Switch()
    guests = client(ROUTES, switch)
    before = guests.get(url)
    switch.down = True
    answer = guests.get(url)
    assert (before.status_code in {200, 404}, answer.status_code) == (True, 503)
    assert answer.text == 'Service Unavailable: plugin "shop" is not running\n'
    switch.down = False
    assert guests.get(url).text == before.text


def test_a_guarded_websocket_is_denied_before_it_is_accepted() -> None:
    switch = Switch()
    with client(ROUTES, switch).websocket_connect("/talk") as websocket:
        assert websocket.receive_text() == "hello"
    switch.down = True
    with pytest.raises(WebSocketDenialResponse) as refused:  # noqa: SIM117 - it is raised in entering
        with client(ROUTES, switch).websocket_connect("/talk"):
            pass
    assert refused.value.status_code == 503
    assert "shop" in refused.value.text


def test_a_websocket_is_told_why_where_the_server_can_say_it() -> None:
    scope = {"type": "websocket", "extensions": {"websocket.http.response": {}}}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await unavailable(scope, receive, send, why="down")

    start, body = sent(app, scope)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert body["body"] == b"down\n"
    (closed,) = sent(app, {"type": "websocket"})
    assert (closed["type"], closed["code"]) == ("websocket.close", 1013)


def test_a_guard_is_put_on_a_copy() -> None:
    switch = Switch()
    switch.down = True
    for _ in range(2):
        client(ROUTES, switch)
    plain = TestClient(Starlette(routes=ROUTES))
    assert [plain.get(path).status_code for path in ("/page", "/m/page", "/own")] == [200] * 3


def test_a_guarded_route_keeps_its_names_and_what_it_matches() -> None:
    router = Router([guarded(route, "shop", Switch()) for route in ROUTES])
    assert router.url_path_for("page") == "/page"
    assert router.url_path_for("m:inner") == "/m/page"
    assert client(ROUTES, Switch()).post("/page").status_code == 405
    assert client(ROUTES, Switch()).get("/nothing").status_code == 404


@pytest.mark.parametrize(
    "root, path, whole",
    [
        ("", "/a", "/a"),
        ("/r", "/a", "/r/a"),
        ("/r", "/r/a", "/r/a"),
        ("/r", "/r", "/r"),
        ("/r", "/ra", "/r/ra"),
        ("/r", "/", "/r/"),
    ],
)
def test_the_path_has_the_root_path_in_it(root: str, path: str, whole: str) -> None:
    scope = {"type": "http", "root_path": root, "path": path, "raw_path": path.encode()}
    put_right = with_whole_path(scope)
    assert put_right["path"] == whole
    assert put_right["raw_path"] == whole.encode()
    assert scope["path"] == path


def test_a_raw_path_stays_percent_encoded() -> None:
    scope = {"type": "http", "root_path": "/ü x", "path": "/a/b", "raw_path": b"/a%2Fb"}
    assert with_whole_path(scope)["raw_path"] == b"/%C3%BC%20x/a%2Fb"


def test_a_server_without_raw_path_is_served_too() -> None:
    assert with_whole_path({"path": "/a", "root_path": "/r"})["path"] == "/r/a"
    none = with_whole_path({"path": "/a", "root_path": "/r", "raw_path": None})
    assert none["raw_path"] is None


def masked(answer: ASGIApp) -> tuple[Message, bytes]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, masking(send, lambda text: text.replace("hunter2", "***")))

    start, *bodies = sent(app, {"type": "http", "method": "GET"})
    return start, b"".join(body["body"] for body in bodies)


def test_an_error_page_is_masked_and_its_length_is_right() -> None:
    start, body = masked(PlainTextResponse("ü hunter2!", 500))
    assert body == "ü ***!".encode()
    assert dict(start["headers"])[b"content-length"] == str(len(body)).encode()
    assert start["status"] == 500


def test_an_answer_that_is_no_error_is_left_alone() -> None:
    start, body = masked(PlainTextResponse("hunter2"))
    assert (start["status"], body) == (200, b"hunter2")


def test_an_error_page_that_is_no_text_passes_unharmed() -> None:
    assert masked(Response(b"\xff\xfe", 500))[1] == b"\xff\xfe"
