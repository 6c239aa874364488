"""Configuration: files, environment and command line → structs, with the place of each value.

    sources ─▶ layers ─▶ merge ─▶ Config ─▶ decode ─▶ a struct, or all errors at once

`read` never raises for what a user wrote: problems are in `Config.errors` and
`Decoded.errors`.
"""

from fps_lite.config.configuration import Config, from_mapping, read
from fps_lite.config.decode import Decoded
from fps_lite.config.layers import Layer
from fps_lite.config.schema import effective, schema
from fps_lite.config.variables import Option

__all__ = ["Config", "Decoded", "Layer", "Option", "effective", "from_mapping", "read", "schema"]
