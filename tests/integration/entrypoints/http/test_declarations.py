"""Each operation says all of itself, once, and none lets everybody in by an oversight."""

from itertools import product
from typing import get_args

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.alarm.commands import COMMANDS, Command
from core.alarm.condition import Clear, Raise
from core.errors import TocsinError
from core.roles import ADMINS, READERS, ROLES, Role, Roles
from entrypoints.http.api import OPERATIONS, PERMISSIONS
from entrypoints.http.codes import CODES
from entrypoints.http.operations import GUARDED, Operation, Routes, is_guarded
from entrypoints.http.permissions import Permissions
from entrypoints.http.problems import Problem
from entrypoints.http.schemas.bodies import BY_ID
from entrypoints.http.schemas.items import ITEM


async def nothing(_: Request) -> Response:
    return Response()


@pytest.mark.parametrize("command", [command for command in COMMANDS if command is not Raise])
def test_a_command_has_a_body_a_summary_a_route_and_an_element(command: type[Command]) -> None:
    declared = BY_ID[command.name]
    assert declared.command is command
    assert declared.summary
    (operation,) = (each for each in OPERATIONS if each.id == command.name)
    assert (operation.summary, operation.body) == (declared.summary, declared.body)
    assert operation.roles == PERMISSIONS.roles_for("POST", f"/v1/alarms/x/{command.name}") == command.roles
    (element,) = (each for each in get_args(ITEM) if each.__struct_config__.tag == command.name)
    assert command is Clear or issubclass(element, declared.body)


def test_nothing_else_can_be_said_to_an_alarm() -> None:
    names = {command.name for command in COMMANDS}
    assert {each.__struct_config__.tag for each in get_args(ITEM)} == names
    assert BY_ID.keys() == names - {Raise.name}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_an_operation_has_roles_known_codes_and_a_summary(operation: Operation) -> None:
    assert operation.summary
    assert operation.answers
    assert set(operation.codes) <= CODES.keys()
    assert operation.roles is None or operation.roles <= ROLES
    assert (operation.roles is None) is (operation.path in ("/healthz", "/readyz"))


@pytest.mark.parametrize(
    ("root", "roles"), [*product(GUARDED, [None, frozenset[Role]()]), ("/open", ADMINS), ("/v10", ADMINS)]
)
def test_a_guarded_route_cannot_be_without_roles_nor_an_open_one_with_some(
    root: str, roles: Roles | None
) -> None:
    for path in (root, f"{root}/new"):
        declare = Routes("alarms").declare("GET", path, "new", "New", roles=roles, answers={200: None})
        with pytest.raises(ValueError, match="roles"):
            declare(nothing)


def test_a_parameter_of_a_path_cannot_be_without_a_form() -> None:
    declare = Routes("alarms").declare(
        "GET", "/v1/new/{new_id}", "new", "New", roles=READERS, answers={200: None}
    )
    with pytest.raises(ValueError, match="new_id"):
        declare(nothing)


@pytest.mark.parametrize(
    "route",
    [Route("/v1/new", nothing), Route("/metrics/x", nothing), Route("/v1/stats", nothing, methods=["PUT"])],
)
def test_a_guarded_route_cannot_be_served_undeclared(route: Route) -> None:
    with pytest.raises(ValueError, match="declared by no operation"):
        PERMISSIONS.check([route])
    PERMISSIONS.check([Route("/new", nothing), Route("/v1/stats", nothing)])


@pytest.mark.parametrize(
    ("method", "path", "roles"),
    [
        ("GET", "/v1/outbox/x", ADMINS),
        ("GET", "/v1/api-keys/x", ADMINS),
        ("GET", "/v1/sessions/disconnect", ADMINS),
        ("GET", "/v1/alarms/x/acknowledge", READERS),
        ("GET", "/v1/clear", READERS),
        ("GET", "/v2/enqueue", READERS),
        ("POST", "/v1/ingest/something", frozenset({"source", "admin"})),
        ("POST", "/v1/clear/x", ADMINS),
        ("POST", "/v1/commands/x", ADMINS),
        ("POST", "/v1/alarms//acknowledge", ADMINS),
        ("POST", "/v1/alarms/x/y/acknowledge", ADMINS),
        ("PUT", "/v1/alarms", ADMINS),
        ("OPTIONS", "/v1/alarms", ADMINS),
        ("GET", "/v10", None),
        ("POST", "/metricsx", None),
    ],
)
def test_what_is_not_declared_is_shut(method: str, path: str, roles: frozenset[str] | None) -> None:
    assert PERMISSIONS.roles_for(method, path) == roles
    assert is_guarded(path) is (roles is not None)


def test_without_any_operation_all_is_for_readers_and_administrators() -> None:
    assert Permissions([]).roles_for("HEAD", "/v1/alarms") == READERS
    assert Permissions([]).roles_for("POST", "/v1/alarms") == ADMINS


def test_a_problem_is_one_of_the_project_s_errors() -> None:
    assert issubclass(Problem, TocsinError)
