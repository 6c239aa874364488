"""The middleware of all features that are on, around the whole app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from fps_lite import hookimpl

from .cross_site import CrossSiteCheck
from .csp import ContentSecurityPolicy
from .https import HttpsRedirect, StrictTransportSecurity
from .origins import origin_of

if TYPE_CHECKING:
    from fps_lite import Context

    from .config import BrowserSecurityConfig, CorsConfig


@hookimpl(tryfirst=True)
def middleware(config: BrowserSecurityConfig, context: Context) -> list[Middleware]:
    """Return what is on, the outermost first.

    Nothing but a redirect is said on plain HTTP. The policy is in every answer below, and CORS
    outside the check, so that a page may read why it was refused.
    """
    told = {"forwarded_proto": config.forwarded_proto}
    stack = []
    if config.https and config.https.enabled:
        stack.append(Middleware(HttpsRedirect, config=config.https, **told))
    if config.hsts and config.hsts.enabled:
        stack.append(Middleware(StrictTransportSecurity, config=config.hsts, **told))
    if config.csp and config.csp.enabled:
        stack.append(Middleware(ContentSecurityPolicy, config=config.csp))
    if config.cors and config.cors.enabled:
        stack.append(_cors(config.cors))
    if config.cross_site and config.cross_site.enabled:
        check = Middleware(CrossSiteCheck, config=config.cross_site, name=context.name, **told)
        stack.append(check)
    return stack


def _cors(config: CorsConfig) -> Middleware:
    return Middleware(
        CORSMiddleware,
        # Starlette compares text, so origins are written as a browser does.
        allow_origins=[one if one == "*" else str(origin_of(one)) for one in config.origins],
        allow_methods=config.methods,
        allow_headers=config.headers,
        expose_headers=config.expose_headers,
        allow_credentials=config.credentials,
        max_age=config.max_age,
    )
