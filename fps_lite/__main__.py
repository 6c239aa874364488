"""`python -m fps_lite`: the same as `fps-lite`."""

from fps_lite.cli import main

main()
