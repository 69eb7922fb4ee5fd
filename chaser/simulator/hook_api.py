"""The App's webhook: its settings, the log of its deliveries, and sending one again. With the App's JWT.

https://docs.github.com/en/rest/apps/webhooks
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.access import app_refusal
from chaser.simulator.answers import error, not_found, ok
from chaser.simulator.post import Attempt, Post, item_body, whole_body
from chaser.simulator.reading import read_object
from chaser.simulator.world import World


class HookApi:
    def __init__(self, world: World, post: Post) -> None:
        self._world = world
        self._post = post

    def routes(self) -> list[Route]:
        one = "/app/hook/deliveries/{delivery_id:int}"
        return [
            Route("/app/hook/config", self.config, methods=["GET"]),
            Route("/app/hook/config", self.change, methods=["PATCH"]),
            Route("/app/hook/deliveries", self.list, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(f"{one}/attempts", self.again, methods=["POST"]),
        ]

    async def config(self, request: Request) -> Response:
        return app_refusal(self._world, request) or ok(self._config())

    async def change(self, request: Request) -> Response:
        if (refused := app_refusal(self._world, request)) is not None:
            return refused
        body = await read_object(request)
        if isinstance(body, str):
            return error(400, body)
        values = {name: value for name, value in body.items() if isinstance(value, str)}
        hook = self._world.hook
        hook.url = values.get("url", hook.url)
        hook.secret = values.get("secret", hook.secret)
        hook.content_type = values.get("content_type", hook.content_type)
        hook.insecure_ssl = values.get("insecure_ssl", hook.insecure_ssl)
        return ok(self._config())

    async def list(self, request: Request) -> Response:
        """Newest first. The cursor is the id of the last one of the page before."""
        if (refused := app_refusal(self._world, request)) is not None:
            return refused
        given = request.query_params
        size, cursor = given.get("per_page", "30"), given.get("cursor", "")
        if not size.isdecimal() or not (cursor == "" or cursor.isdecimal()):
            return error(422, "Invalid cursor or page size")
        found = [
            one
            for one in sorted(self._post.attempts, key=lambda one: one.id, reverse=True)
            if cursor == "" or one.id < int(cursor)
        ]
        shown = found[: min(int(size), 100)]
        answer = ok([item_body(one) for one in shown])
        if len(shown) < len(found) and shown:
            link = request.url.include_query_params(cursor=shown[-1].id)
            answer.headers["link"] = f'<{link}>; rel="next"'
        return answer

    async def get(self, request: Request) -> Response:
        if (refused := app_refusal(self._world, request)) is not None:
            return refused
        found = self._attempt(request)
        return not_found() if found is None else ok(whole_body(found))

    async def again(self, request: Request) -> Response:
        if (refused := app_refusal(self._world, request)) is not None:
            return refused
        if (found := self._attempt(request)) is None:
            return not_found()
        self._post.again(found)
        return ok({}, 202)

    def _attempt(self, request: Request) -> Attempt | None:
        return self._post.find(int(request.path_params["delivery_id"]))

    def _config(self) -> dict[str, object]:
        hook = self._world.hook
        shown: dict[str, object] = {"content_type": hook.content_type, "insecure_ssl": hook.insecure_ssl}
        if hook.url is not None:
            shown["url"] = hook.url
        if hook.secret:
            shown["secret"] = "********"  # noqa: S105 - what GitHub shows in its place
        return shown
