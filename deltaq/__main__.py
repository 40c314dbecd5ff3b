"""`python -m deltaq`: the same as the `deltaq` command."""

from deltaq.cli import main

main()
