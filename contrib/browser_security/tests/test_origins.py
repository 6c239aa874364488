from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fps_lite_browser_security.origins import DEFAULT_PORTS, Origin, origin_of

SCHEMES = st.sampled_from(["http", "https"])
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True)
PORTS = st.integers(1, 65535)
IPV6 = st.integers(0, 2**128 - 1).map(IPv6Address)
HOSTS = NAMES | IPV6.map(lambda one: f"[{one}]")


def cased(text: str) -> st.SearchStrategy[str]:
    """Return `text` in any mixture of cases."""
    pairs = [st.sampled_from([one.lower(), one.upper()]) for one in text]
    return st.tuples(*pairs).map("".join)


def shown(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"


@given(scheme=SCHEMES, host=HOSTS, port=st.none() | PORTS, data=st.data())
def test_origin_is_its_own_host_in_any_case_and_with_its_default_port(
    scheme: str, host: str, port: int | None, data: st.DataObject
) -> None:
    origin = origin_of(f"{scheme}://{shown(host, port)}")
    assert origin is not None
    assert origin.is_at(data.draw(cased(shown(host, port))))
    assert origin.is_at(shown(host, port or DEFAULT_PORTS[scheme]))
    if port == DEFAULT_PORTS[scheme]:
        assert origin.is_at(host)
    upper = origin_of(data.draw(cased(f"{scheme}://{shown(host, port)}")))
    assert upper == origin == origin_of(str(origin))


@given(scheme=SCHEMES, host=HOSTS, one=PORTS, other=PORTS)
def test_another_port_is_another_origin(scheme: str, host: str, one: int, other: int) -> None:
    assume(one != other)
    origin = origin_of(f"{scheme}://{host}:{one}")
    assert origin is not None
    assert not origin.is_at(f"{host}:{other}")
    assert origin != origin_of(f"{scheme}://{host}:{other}")
    assert origin.is_at(host) == (one == DEFAULT_PORTS[scheme])


@given(scheme=SCHEMES, one=HOSTS, other=HOSTS, port=st.none() | PORTS)
def test_another_host_is_another_origin(
    scheme: str, one: str, other: str, port: int | None
) -> None:
    assume(one != other)
    origin = origin_of(f"{scheme}://{shown(one, port)}")
    assert origin is not None
    assert not origin.is_at(shown(other, port))
    assert not origin.is_at(shown(f"{one}.evil", port))
    assert not origin.is_at(shown(f"evil.{one}", port))
    assert not origin.is_at("")


@given(host=HOSTS, port=st.none() | PORTS)
def test_another_scheme_is_another_origin(host: str, port: int | None) -> None:
    assert origin_of(f"http://{shown(host, port)}") != origin_of(f"https://{shown(host, port)}")


@given(address=IPV6, scheme=SCHEMES)
def test_ipv6_address_is_one_however_it_is_written(address: IPv6Address, scheme: str) -> None:
    written = {origin_of(f"{scheme}://[{one}]") for one in (address.compressed, address.exploded)}
    assert len(written) == 1
    origin = written.pop()
    assert origin is not None
    assert origin.is_at(f"[{address.exploded}]:{DEFAULT_PORTS[scheme]}")
    assert not origin.is_at(address.exploded)


@given(text=st.text(), host=st.text())
def test_any_text_is_an_origin_that_is_written_again_or_none(text: str, host: str) -> None:
    for one in (origin_of(text), origin_of(f"http://{text}")):
        assert one is None or origin_of(str(one)) == one
    origin = Origin("http", "a.example", None)
    assert not origin.is_at(host) or host.lower() in ("a.example", "a.example:80")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "example.org",
        "//example.org",
        "https://",
        "https://:443",
        "https://a.example/",
        "https://a.example?",
        "https://a.example#",
        "https://user@a.example",
        "https://a.example:",
        "https://a.example:port",
        "https://a.example:99999",
        "https://a.example, https://b.example",
        "https://a.example https://b.example",
        "https://a.example\n",
        "https://[::1",
        "https://[::::]",
        "https://[::1%25eth0]",
        "https://b\u00fccher.example",
    ],
)
def test_what_is_no_origin_is_none(text: str) -> None:
    assert origin_of(text) is None


def test_scheme_of_an_app_is_one_of_its_own() -> None:
    assert str(origin_of("Tauri://localhost")) == "tauri://localhost"
    assert origin_of("tauri://localhost") != origin_of("http://localhost")
