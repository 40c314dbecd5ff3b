"""Three digits drawn by hand, in the form of the digits data set: eight rows of eight pixels, 0 is paper, 16 is ink."""

from __future__ import annotations

INK = {".": 0, ":": 4, "+": 8, "x": 12, "#": 16}
_SHADES = {".": " ", ":": "░", "+": "▒", "x": "▓", "#": "█"}

DIGITS: dict[int, str] = {
    0: """\
..:##+..
..###x:.
.:#:.#+.
.+#..x#.
.+#..x#.
.:#:.#x.
..x#x#:.
..:##x..""",
    4: """\
...:#+..
...x#...
..##:...
.:#x:#:.
.x#++#+.
.+####+.
...:##..
....#x..""",
    7: """\
..+##x..
..:+x#:.
....+#..
..:+x#:.
.:####+.
...x#:..
...#x...
..:#+...""",
}


def pixels(drawing: str) -> list[int]:
    """The drawing as a row of the data set.

    Shapes: (64,), row by row.
    """
    return [INK[char] for line in drawing.splitlines() for char in line]


def shaded(drawing: str) -> list[str]:
    """The drawing's lines as a terminal shows them, each pixel two characters wide."""
    return ["".join(2 * _SHADES[char] for char in line) for line in drawing.splitlines()]
