"""The peers, each a side of its own: run in an environment that has them, and import nothing of deltaq's."""
