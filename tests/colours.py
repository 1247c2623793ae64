"""Colours of a chart as a reader sees them: contrast with the page, and those of its thin marks."""

import itertools

import numpy as np

BACKGROUNDS = {"light": "#ffffff", "dark": "#14181e"}  # the theme's, --pst-color-background


def linear(colour):
    """Returns linear RGB of a colour as in a style sheet."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one, two):
    """Returns the contrast ratio of WCAG 2."""
    high, low = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def over(colour, background, opacity):
    """Returns the colour that a mark of some opacity has on a background."""
    parts = (opacity * int(colour[i : i + 2], 16) + (1 - opacity) * int(background[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part):02x}" for part in parts)


def _values(channel):
    """Yields the values that an encoding may give, whatever its condition."""
    conditions = channel.get("condition", [])
    for one in [channel, *(conditions if isinstance(conditions, list) else [conditions])]:
        if "value" in one:
            yield one["value"]
    yield from channel.get("scale", {}).get("range", [])


def thin_marks(spec):
    """Yields the colour and the opacity of every rule, line and tick of a specification, in each of their states."""
    for name in ("layer", "hconcat", "vconcat"):
        for part in spec.get(name, []):
            yield from thin_marks(part)
    mark, encoding = spec.get("mark", {}), spec.get("encoding", {})
    if mark.get("type") in ("rule", "line", "tick"):
        colours = {*filter(None, [mark.get("color")]), *_values(encoding.get("color", {}))}
        opacities = [*_values(encoding.get("opacity", {}))] or [mark.get("opacity", 1)]
        yield from itertools.product((c for c in colours if c.startswith("#")), opacities)
