from __future__ import annotations

from pathlib import Path

import pytest
from server_support import ASYNC_API, Api, credentials, example, running

from symbl_async.server.auth import Accounts
from symbl_async.server.database import Database
from symbl_async.server.problems import Problem
from symbl_async.server.schema import apps, tokens


async def status(api: Api, **headers: str) -> int:
    """What a request with these headers is answered."""
    async with api.session.get(f"{api.server.url}/v1/conversations", headers=headers) as response:
        return response.status


class Clock:
    """A monotonic clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


async def test_same_token_is_handed_out_while_it_lasts(tmp_path: Path) -> None:
    """The second answer holds the same token with what is left of its lifetime; near its end there is a new one."""
    clock = Clock()
    async with Database.open(tmp_path / "db") as database:
        accounts = Accounts(database, token_lifetime=86400, monotonic=clock)
        pair = await accounts.open(None, None)
        first = await accounts.grant(*pair)
        assert first.expires_in == 86400
        clock.now += 34686.5
        second = await accounts.grant(*pair)
        assert (second.token, second.expires_in) == (first.token, 51713)
        clock.now += 51713 - 30
        third = await accounts.grant(*pair)
        assert third.token != first.token
        assert third.expires_in == 86400
        assert accounts.authenticate(f"Bearer {first.token}", None) == pair[0]
        clock.now += 31
        with pytest.raises(Problem, match="expired") as caught:
            accounts.authenticate(f"Bearer {first.token}", None)
        assert caught.value.status == 401


async def test_short_lifetimes_work(tmp_path: Path) -> None:
    """A token of a few seconds is used for most of them, not replaced at every request."""
    clock = Clock()
    async with Database.open(tmp_path / "db") as database:
        accounts = Accounts(database, token_lifetime=5, monotonic=clock)
        pair = await accounts.open(None, None)
        first = await accounts.grant(*pair)
        clock.now += 4
        assert (await accounts.grant(*pair)).token == first.token
        clock.now += 0.6
        assert (await accounts.grant(*pair)).token != first.token


async def test_number_of_tokens_is_bounded(tmp_path: Path) -> None:
    """However often tokens run out, only the latest are known."""
    clock = Clock()
    async with Database.open(tmp_path / "db") as database:
        accounts = Accounts(database, token_lifetime=10_000, monotonic=clock)
        pair = await accounts.open(None, None)
        issued = []
        for _ in range(35):
            issued.append((await accounts.grant(*pair)).token)
            accounts._issued.clear()
        async with database.read() as connection:
            assert len((await connection.execute(tokens.select())).all()) == 32
        accounts.authenticate(f"Bearer {issued[-1]}", None)
        known = 0
        for token in issued:
            try:
                accounts.authenticate(f"Bearer {token}", None)
                known += 1
            except Problem:
                continue
        assert known == 32


async def test_secrets_and_tokens_are_stored_hashed(tmp_path: Path) -> None:
    """Neither can be read from the data folder."""
    async with running(data_dir=tmp_path) as api:
        token, secret = api.token, api.server.app_secret
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert api.server.app_id.encode() in stored
    assert token.encode() not in stored
    assert secret.encode() not in stored


async def test_account_survives_a_restart(tmp_path: Path) -> None:
    """The made-up application is found again; its secret is a new one, and the old one does not work."""
    async with running(data_dir=tmp_path) as api:
        before = credentials(api.server)
        token = api.token
    async with running(data_dir=tmp_path) as api:
        assert api.server.app_id == before["appId"]
        assert api.server.app_secret != before["appSecret"]
        assert (await api.call("POST", "/oauth2/token:generate", json=before)).status == 401
        assert await status(api, Authorization=f"Bearer {token}") == 200


async def test_given_credentials_are_used(tmp_path: Path) -> None:
    """What the settings say holds, also on a folder that knows another secret."""
    for secret in ("first", "second"):
        async with running(data_dir=tmp_path, app_id="mine", app_secret=secret) as api:
            assert (api.server.app_id, api.server.app_secret) == ("mine", secret)


async def test_wrong_pair_is_401_in_the_documented_words() -> None:
    """Unknown application and wrong secret look the same."""
    expected = example("error_401_bad_credentials")["response"]["body"]
    async with running() as api:
        good = credentials(api.server)
        for wrong in ({**good, "appSecret": "x"}, {**good, "appId": "x"}, {**good, "appId": "é\u0000"}):
            reply = await api.call("POST", "/oauth2/token:generate", json=wrong)
            assert (reply.status, reply.body) == (401, expected)


async def test_token_answer_has_the_documented_shape() -> None:
    """AccessToken and whole seconds, not to be cached."""
    async with running() as api:
        reply = await api.call("POST", "/oauth2/token:generate", json=credentials(api.server))
        ASYNC_API.check("TokenResponse", reply.body)
        assert reply.headers["Cache-Control"] == "no-store"
        assert 86390 <= reply.body["expiresIn"] <= 86400


@pytest.mark.parametrize("name", ["type", "appId", "appSecret"])
@pytest.mark.parametrize("value", [None, "", 7])
async def test_incomplete_token_request_is_400(name: str, value: object) -> None:
    """The message names the member."""
    async with running() as api:
        reply = await api.call("POST", "/oauth2/token:generate", json={**credentials(api.server), name: value})
        assert reply.status == 400
        assert f'"{name}"' in reply.body["message"]


async def test_other_grants_are_400() -> None:
    """Only applications are known."""
    async with running() as api:
        reply = await api.call("POST", "/oauth2/token:generate", json={**credentials(api.server), "type": "password"})
        assert reply.status == 400


async def test_both_headers_work_and_bearer_wins() -> None:
    """A18: the deprecated header carries the bare token; beside it Authorization decides."""
    async with running() as api:
        assert await status(api, **{"x-api-key": api.token}) == 200
        assert await status(api, Authorization=f"bearer {api.token}") == 200
        assert await status(api, **{"x-api-key": "wrong", "Authorization": f"Bearer {api.token}"}) == 200
        assert await status(api, **{"x-api-key": api.token, "Authorization": "Bearer wrong"}) == 401


async def test_deprecated_header_can_be_turned_off() -> None:
    """A18: the switch of the contract."""
    async with running(legacy_api_key=False) as api:
        assert await status(api, **{"x-api-key": api.token}) == 401
        assert await status(api, Authorization=f"Bearer {api.token}") == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer expired", "Bearer \xff\xfe", "token"])
async def test_unusable_authorization_is_401(header: str) -> None:
    """Whatever is not a known token."""
    async with running() as api:
        assert await status(api, Authorization=header) == 401


async def test_rejected_token_is_answered_in_the_documented_words() -> None:
    """The published example."""
    async with running() as api:
        api.token = "expired"
        reply = await api.call("GET", "/v1/job/3f0c2b8e-6a1d-4c57-9e42-0b7d5f1a9c63")
        assert (reply.status, reply.body) == (401, example("error_401_bad_token")["response"]["body"])


async def test_accounts_see_only_their_own(tmp_path: Path) -> None:
    """Jobs and conversations of another account do not exist, for reading, changing, appending and deleting."""
    async with running(data_dir=tmp_path, app_id="one") as api:
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        other = api.token
    async with running(data_dir=tmp_path, app_id="two") as api:
        job, conversation = f"/v1/job/{accepted['jobId']}", f"/v1/conversations/{accepted['conversationId']}"
        for method, path, options in (
            ("GET", job, {}),
            ("GET", conversation, {}),
            ("GET", f"{conversation}/messages", {}),
            ("PUT", conversation, {"json": {"metadata": {}}}),
            ("DELETE", conversation, {}),
            ("PUT", f"/v1/process/text/{accepted['conversationId']}", {"json": {"messages": []}}),
        ):
            assert (await api.call(method, path, **options)).status == 404
        assert (await api.call("GET", "/v1/conversations")).body == {"conversations": []}
        api.token = other
        assert (await api.call("GET", job)).status == 200


async def test_tables_name_the_account_once(tmp_path: Path) -> None:
    """Starting again on a folder does not add accounts."""
    for _ in range(3):
        async with running(data_dir=tmp_path):
            pass
    async with Database.open(tmp_path / "server.sqlite") as database, database.read() as connection:
        assert len((await connection.execute(apps.select())).all()) == 1
