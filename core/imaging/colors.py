"""One colour for one meaning everywhere: pictures, pages and painter.

Okabe and Ito's palette, which colour-blind people can tell apart
(https://jfly.uni-koeln.de/color/).
"""

PREDICTION = "#56B4E9"
"""Predicted membrane, and membrane in a label."""
ADD = "#009E73"
REMOVE = "#D55E00"
IGNORE = "#CC79A7"
"""The guide paints ignore purple."""
SELECTED = "#F0E442"
WARNING = "#E69F00"


def rgb(color: str) -> tuple[int, int, int]:
    """Return the three bytes of a #RRGGBB colour."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
