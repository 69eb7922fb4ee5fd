"""A page for a browser, as plain as can be."""

from starlette.responses import HTMLResponse, Response


def page(title: str, content: str, status: int = 200) -> Response:
    """Both are HTML."""
    return HTMLResponse(f"<!doctype html><title>{title}</title><h1>{title}</h1>{content}", status)
