"""The apps that servers are measured with: each answers `GET /bench` with the same JSON."""
