"""Scenarios of links whose pages the server reads."""

import asyncio
import contextlib
import os

import msgpack
from client import EDIT, NEWEST, PREVIEW, Timeline, direct_id, new_nonce
from world import Session, check, equal, scenario


@contextlib.asynccontextmanager
async def pages():
    """A web server whose pages have their own name for a title. Gives the beginning of its links, and what was asked for."""
    asked = []

    async def answer(reader, writer):
        name = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().strip("/")
        asked.append(name)
        kind = "application/json" if name.startswith("data") else "text/html; charset=utf-8"
        body = f"<title>{name}</title><meta property='og:site_name' content='The hall'><meta name=description content='about\n it'>".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", asked


def shown(entry):
    """The preview that an entry carries."""
    return next(msgpack.unpackb(facet["b"]) for facet in entry["fa"] if facet["k"] == 6)


@scenario
async def link_previews(world):
    """An entry of its own tells what the page says, quietly; with an edit it is gone, and the new text's comes."""
    anna, bob = world.user("anna"), world.user("bob")
    name = os.urandom(6).hex()
    async with pages() as (web, asked), Session(world, anna) as a, Session(world, bob) as b:
        chat = direct_id(anna, bob)
        link = web + name
        ack = await a.say_to(bob, f"meet me there: {link}.")
        sent = await b.event("Entry", lambda body: body["n"] == ack["n"])
        check("fa" not in sent, "a message does not wait for the page")
        entry = await b.event("Entry", lambda body: body["k"] == PREVIEW)
        equal((entry["g"], entry["u"], entry.get("o")), (ack["n"], anna, ack["o"]), "of which message, in whose name, and not counted")
        expected = {"u": link, "ti": name, "de": "about it", "si": "The hall"}
        equal(shown(entry), expected, "what the page says")
        head = next(head for head in (await b.page("HeadsRequest", {}))["h"] if head["c"] == chat)
        equal((head["n"], head["ur"], head["t"]), (entry["n"], 1, sent["t"]), "a number of its own, not unread, no place in the list")

        # Whoever was away has it from the page, and live comes to the same.
        timeline = Timeline(chat)
        timeline.apply_event("Entry", sent)
        timeline.apply_event("Entry", entry)
        page = await b.page("PageRequest", {"c": chat, "a": NEWEST})
        late = Timeline(chat)
        late.apply_page(page)
        equal(late.preview(ack["n"]), expected, "in a page")
        equal(late.items[ack["n"]], timeline.items[ack["n"]], "applied one by one")

        # An edit takes it away, and brings its own; one that comes first hides it all the same.
        other = web + "other-" + name
        body = a.message(chat, other)
        edit = await a.command("Edit", {"i": new_nonce(), "c": chat, "g": ack["n"], "b": body["b"]})
        edited = await b.event("Entry", lambda body: body["k"] == EDIT)
        equal((edited["n"], edited.get("fa")), (edit["n"], None), "the edit says nothing of it")
        second = await b.event("Entry", lambda body: body["k"] == PREVIEW and body["n"] > edit["n"])
        equal(shown(second)["u"], other, "of the new link")
        turned = Timeline(chat)
        for event in (sent, edited, entry):
            turned.apply_event("Entry", event)
        equal(turned.preview(ack["n"]), None, "an older one after the edit")
        await a.command("Recall", {"i": new_nonce(), "c": chat, "g": ack["n"]})
        page = await b.page("PageRequest", {"c": chat, "a": NEWEST})
        check("fa" not in page["e"][0], "a recall takes it along")

        # What is no page leaves nothing, and neither does a link that is hidden.
        await a.say_to(bob, web + "data-" + name)
        spoiler = a.message(chat, link)
        spoiler["b"] = msgpack.packb({"t": link + "-hidden", "sp": [{"k": 6, "a": 0, "l": len(link)}]})
        await a.command("Send", spoiler)
        last = await a.say_to(bob, web + "last-" + name)
        entry = await b.event("Entry", lambda body: body["k"] == PREVIEW and body["g"] > edit["n"])
        equal(entry["g"], last["n"], "the only one that has one")
        check(f"{name}-hidden" not in asked, "what is hidden is not asked for")
