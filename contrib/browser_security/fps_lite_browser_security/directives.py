"""The directives of a content security policy, and what each may list."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

NONCE = "'nonce'"
"""Stands in a list for the nonce of the request."""

_WORDS = (
    "self|none|unsafe-inline|unsafe-eval|unsafe-hashes|wasm-unsafe-eval|trusted-types-eval"
    "|strict-dynamic|report-sample|report-sha(256|384|512)|inline-speculation-rules"
)
_HASH = r"sha(256|384|512)-[A-Za-z0-9+/_=-]+"
# A keyword without its quotes would be a host of that name, and a misspelt one nothing.
_PLAIN = rf"(?!({_WORDS}|nonce|nonce-.*|{_HASH})(?!\n)$)[!-&(-+./0-:<-~-]+"
_SOURCE = "a source like \"'self'\" or \"https://cdn.example.org\", keywords in '…'"


def _pattern(words: str) -> str:
    return rf"^('({words}|{_HASH})'|{_PLAIN})(?!\n)$"


Source = Annotated[str, Meta(pattern=_pattern(_WORDS), description=_SOURCE)]
CodeSource = Annotated[str, Meta(pattern=_pattern(f"nonce|{_WORDS}"), description=_SOURCE)]
Token = Annotated[
    str, Meta(pattern=r"^[!-+./0-:<-~-]+(?!\n)$", description='a word without spaces, ";" or ","')
]
Sources: TypeAlias = list[Source] | None
CodeSources: TypeAlias = list[CodeSource] | None
Tokens: TypeAlias = list[Token] | None


class Directives(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """`[browser_security.csp.directives]`: a misspelt one would be ignored by browsers."""

    default_src: CodeSources = None
    script_src: CodeSources = None
    script_src_elem: CodeSources = None
    script_src_attr: Sources = None
    style_src: CodeSources = None
    style_src_elem: CodeSources = None
    style_src_attr: Sources = None
    img_src: Sources = None
    font_src: Sources = None
    connect_src: Sources = None
    media_src: Sources = None
    object_src: Sources = None
    frame_src: Sources = None
    child_src: Sources = None
    worker_src: Sources = None
    manifest_src: Sources = None
    base_uri: Sources = None
    form_action: Sources = None
    frame_ancestors: Sources = None
    sandbox: Tokens = None
    upgrade_insecure_requests: Tokens = None
    require_trusted_types_for: Tokens = None
    trusted_types: Tokens = None
    report_uri: Tokens = None

    def __post_init__(self) -> None:
        """Refuse `'none'` beside others: browsers would leave it out."""
        for name, sources in self.listed():
            if "'none'" in sources and len(sources) > 1:
                raise ValueError(f"{name}: 'none' stands alone")

    def listed(self) -> list[tuple[str, list[str]]]:
        """Return each directive that is set, with what it lists."""
        names = zip(self.__struct_encode_fields__, self.__struct_fields__, strict=True)
        values = [(name, getattr(self, key)) for name, key in names]
        return [(name, value) for name, value in values if value is not None]

    @property
    def has_nonce(self) -> bool:
        """Tell whether one lists the nonce of the request."""
        return any(NONCE in sources for _, sources in self.listed())

    @property
    def policy(self) -> str:
        """Return the policy as the header's value."""
        return "; ".join(" ".join([name, *sources]) for name, sources in self.listed())
