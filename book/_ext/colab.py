"""The launch button opens the plain edition of a chapter: Colab shows no MyST."""

from __future__ import annotations


def _launch(app, pagename, templatename, context, doctree) -> None:
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if "colab" in button.get("url", ""):
                button["url"] = button["url"].replace("/notebooks/", "/notebooks/plain/")


def setup(app):
    """Connects the step after the theme's own."""
    app.connect("html-page-context", _launch, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
