"""Scenarios of logging in, of tokens and of devices."""

import asyncio
import os
import time

import client as wire
from client import new_nonce
from world import Session, check, equal, refusal, scenario


@scenario
async def log_in(world):
    """Hello, welcome, and the sync stream that comes by itself."""
    user = world.user("ada")
    async with world.connect() as client:
        token = world.token(user, name="Ada L.", roles=["tester"], unknown={"claim": 1})
        welcome = await client.log_in(token)
        equal((welcome["v"], welcome["u"], welcome.get("nm")), (1, user, "Ada L."), "the welcome")
        check(abs(welcome["t"] / 1000 - time.time()) < 60, "the server's clock")
        check(welcome["tx"] > welcome["t"], "the token's end")
        check(welcome.get("s"), "a resume secret")
        await asyncio.wait_for(client.sync_done.wait(), 10)
        kinds = {name for name, _ in client.sync}
        check("UserLogPage" in kinds and "HeadsPage" in kinds, f"the sync stream brought {kinds}")
        pong = await client.ask("Ping", {"q": 2**53 + 1})
        equal(pong["q"], 2**53 + 1, "the ping's counter")
    async with Session(world, user, ns=True) as quiet:
        await quiet.ask("Ping", {})
        await quiet.ask("Ping", {})
        equal(quiet.sync, [], "a sync that was not wanted")


@scenario
async def refused_log_ins(world):
    """Bad tokens and versions are refused with their reason, and the connection ends with its code."""
    now = int(time.time())
    good = world.token(world.user("eve"))
    head, payload, signature = good.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    other = wire.sign_token(b"x" * 32, world.kid, {"sub": "eve", "iat": now, "exp": now + 3600})
    none = wire._base64url(b'{"alg":"none"}') + "." + payload + "."
    cases = [
        ("another signature", f"{head}.{payload}.{flipped}", 200),
        ("another key", other, 200),
        ("algorithm none", none, 200),
        ("an unknown kid", wire.sign_token(world.secret, "nobody", {"sub": "eve", "iat": now, "exp": now + 60}), 200),
        ("not a token", "hello", 200),
        ("empty", "", 200),
        ("too long", "a" * 9_000, 200),
        ("no sub", wire.sign_token(world.secret, world.kid, {"iat": now, "exp": now + 3600}), 200),
        ("a sub of 65 bytes", world.token("x" * 65), 200),
        ("expired", world.token("eve", exp=now - 3600, iat=now - 7200), 201),
        ("not yet", world.token("eve", nbf=now + 3600), 202),
    ]
    for what, token, code in cases:
        async with world.connect() as client:
            refused = await refusal(client.log_in(token))
            equal(refused.code, code, what)
            equal(await client.wait_closed(), code, f"the end after {what}")
    async with world.connect() as client:
        refused = await refusal(client.log_in(good, v=7, w=9))
        equal((refused.code, await client.wait_closed()), (104, 104), "versions from the future")
    # A range that holds version 1 is fine, and so is a token that expired within the leeway.
    async with world.connect() as client:
        equal((await client.log_in(world.token("eve", exp=now - 20), v=1, w=9))["v"], 1, "the version picked")


@scenario
async def resume(world):
    """A resume secret logs the same device in again; a wrong one leaves room for a hello on the same stream."""
    user, device = world.user("ida"), os.urandom(16)
    async with Session(world, user, device) as client:
        secret = client.welcome["s"]
    versions = {"v": 1, "w": 1, "d": device}
    async with world.connect() as client:
        _, welcome = await client.send("Resume", {"s": secret, **versions})
        equal(welcome["u"], user, "who resumed")
        check(welcome["s"] != secret, "a new secret")
    for what, body in [("a wrong secret", {"s": b"\0" * 32, **versions}), ("another device", {"s": secret, **versions, "d": b"\7" * 16})]:
        async with world.connect() as client:
            equal((await refusal(client.send("Resume", body))).code, 207, what)
            equal((await client.log_in(world.token(user), device))["u"], user, "hello after " + what)


@scenario
async def tokens_and_devices(world):
    """A new token while connected; the list of devices; signing one out; a device that connects twice."""
    user = world.user("kim")
    first, second = os.urandom(16), os.urandom(16)
    async with Session(world, user, first) as one, Session(world, user, second) as two:
        await one.ask("SetToken", {"k": world.token(user)})
        equal((await refusal(one.ask("SetToken", {"k": world.token("somebody")}))).code, 204, "another user's token")
        equal((await refusal(one.ask("SetToken", {"k": "nonsense"}))).code, 200, "a bad new token")
        for _ in range(50):  # the list follows a log-in, it does not hold it up
            devices = {entry["d"]: entry for entry in (await one.page("DevicesRequest", {})).get("ds", [])}
            if len(devices) == 2:
                break
            await asyncio.sleep(0.1)
        equal(set(devices), {first, second}, "devices")
        check(all(entry.get("on") for entry in devices.values()), "both are online")
        await one.command("RevokeDevice", {"i": new_nonce(), "d": second})
        await two.event("Kicked")
        equal(await two.wait_closed(), 208, "the end of a device that was signed out")
        async with world.connect() as again:
            body = {"v": 1, "w": 1, "s": two.welcome["s"], "d": second}
            equal((await refusal(again.send("Resume", body))).code, 207, "its resume secret")
        async with Session(world, user, first) as newer:
            equal(await one.wait_closed(), 206, "the end of the older connection of a device")
            await newer.ask("Ping", {})
            versions = {"v": 1, "w": 1, "d": first}
        async with world.connect() as again:
            _, welcome = await again.send("Resume", {"s": newer.welcome["s"], **versions})
            equal(welcome["u"], user, "the newer connection's secret")
