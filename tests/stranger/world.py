"""What scenarios are made of: the server, sessions, checks."""

import base64
import os
import pathlib
import time

import client as wire
from client import Client, Refused

SCENARIOS = []
# Checks so far, in a list so that all who import it count in the same.
CHECKS = [0]


def scenario(function):
    SCENARIOS.append(function)
    return function


def check(condition, message):
    CHECKS[0] += 1
    if not condition:
        raise AssertionError(message)


def equal(got, expected, what):
    check(got == expected, f"{what}: got {got!r}, expected {expected!r}")


class World:
    """The server, and tokens for it."""

    def __init__(self, options):
        host, _, port = options.server.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.fingerprint = options.fingerprint.replace(":", "")
        self.kid = options.kid
        self.secret = base64.urlsafe_b64decode(options.secret + "=" * (-len(options.secret) % 4))
        self.vectors = pathlib.Path(options.vectors)
        self.run = os.urandom(3).hex()

    def user(self, name):
        """A user nobody else in this run has."""
        return f"{name}-{self.run}-{os.urandom(2).hex()}"

    def token(self, user, **claims):
        now = int(time.time())
        return wire.sign_token(self.secret, self.kid, {"sub": user, "iat": now, "exp": now + 3600, **claims})

    def connect(self):
        return Client.open(self.host, self.port, self.fingerprint)


class Session:
    """A logged-in client for `async with`."""

    def __init__(self, world, user, device=None, **fields):
        self.world, self.user, self.device, self.fields = world, user, device, fields

    async def __aenter__(self):
        self.context = self.world.connect()
        client = await self.context.__aenter__()
        await client.log_in(self.world.token(self.user), self.device, **self.fields)
        return client

    async def __aexit__(self, *error):
        return await self.context.__aexit__(*error)


async def refusal(awaitable):
    """The refusal of a request that must be refused."""
    try:
        answer = await awaitable
    except Refused as refused:
        check(refused.body.get("m"), "a refusal says why")
        return refused
    raise AssertionError(f"not refused: {answer!r}")
