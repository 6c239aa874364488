"""What a request costs any server command: `python -m benchmarks serve -- CMD`."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .load import CONNECTIONS, client
from .pairs import Spread, spread
from .processes import serving
from .servers import WARM_UP, cpus, loaded

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Driven:
    """What was measured."""

    started: float  # seconds
    us: Spread
    a_second: Spread
    busy: float
    memory: int  # bytes, under load

    def as_json(self) -> dict[str, Any]:
        """Return everything."""
        return {**asdict(self), "client": client(), "connections": CONNECTIONS}

    def as_text(self) -> str:
        """Return it for a reader."""
        return "\n".join(
            (
                f"first answer after  {self.started * 1000:.0f} ms",
                f"CPU µs a request    {self.us}",
                f"requests a second   {self.a_second}",
                f"CPUs busy           {self.busy:.2f}",
                f"memory              {self.memory / 2**20:.0f} MiB",
                f"rounds              {self.us.rounds}, {CONNECTIONS} connections, {client()}",
            )
        )


def drive(argv: Sequence[str], path: str, count: int, seconds: float) -> Driven:
    """Start the command, load it in rounds, end it; raises `Absent` if it does not answer."""
    server_cpu, _ = cpus()
    with serving(argv, path=path, cpu=server_cpu) as server:
        loaded(server, WARM_UP, path)
        found = [loaded(server, seconds, path) for _ in range(count)]
        memory = server.memory()
    return Driven(
        server.started,
        spread([one["us"] for one in found]),
        spread([one["a_second"] for one in found]),
        statistics.median(one["busy"] for one in found),
        memory,
    )
