"""The API's own description: /openapi.json for programs, /docs for people."""

from collections.abc import Sequence

from starlette.responses import HTMLResponse, JSONResponse, Response

from chaser.api.context import Api
from chaser.api.openapi import Json, document
from chaser.api.operation import JSON, Answer, Operation, Public
from chaser.api.reference_page import page

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Reference:
    """Describes `described` and itself."""

    def __init__(self, described: Sequence[Operation]) -> None:
        self.operations = (
            Operation(
                method="GET",
                path="/openapi.json",
                name="openapi",
                tag="reference",
                summary="This description, as an OpenAPI 3.1 document.",
                serve=Public(self._document),
                answers=(Answer(200, "The document.", {JSON: None}),),
            ),
            Operation(
                method="GET",
                path="/docs",
                name="docs",
                tag="reference",
                summary="This description, as a page.",
                serve=Public(self._page),
                answers=(Answer(200, "The page.", {"text/html": None}),),
            ),
        )
        self._described = (*described, *self.operations)
        self._made: Json | None = None

    async def _document(self, api: Api) -> Response:
        return JSONResponse(self._of(api))

    async def _page(self, api: Api) -> Response:
        return HTMLResponse(page(self._of(api)), headers={"Content-Security-Policy": _POLICY})

    def _of(self, api: Api) -> Json:
        # made when first asked for: most processes are never asked
        if self._made is None:
            self._made = document(self._described, api)
        return self._made
