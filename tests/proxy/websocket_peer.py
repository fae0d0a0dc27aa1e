#!/usr/bin/python3
"""Both ends of a WebSocket for websocket_test.cc, by Debian's python3-websockets.

server            listens on a free port of 127.0.0.1, says `port N`, echoes; "close N" asks it to close with that code
client HOST PORT  connects through the proxy and tries everything a client may do; says `steady`, waits for a byte on
                  descriptor 1, goes on with the same connections and says `done`
"""
import asyncio
import os
import random
import sys

import websockets

KEPT = 20  # connections that live through everything


async def echo(socket):
    try:
        async for message in socket:
            if isinstance(message, str) and message.startswith("close "):
                await socket.close(int(message[6:]), "as you wish")
                return
            await socket.send(message)
    except websockets.ConnectionClosed:
        pass


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=1 << 26, subprotocols=["chat"]) as server:
        print("port", server.sockets[0].getsockname()[1])
        await asyncio.Future()


def connect(url, **options):
    return websockets.connect(url, max_size=1 << 26, **options)


async def converse(socket, seed):
    chance = random.Random(seed)
    for size in (0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000):
        message = chance.randbytes(size)
        await socket.send(message)
        assert await socket.recv() == message, size
    await socket.send("Grüße")
    assert await socket.recv() == "Grüße"
    await socket.send(["in ", "three ", "pieces"])
    assert await socket.recv() == "in three pieces"
    await (await socket.ping(b"are you there"))


async def many_small(socket):
    for i in range(500):
        await socket.send(str(i))
    for i in range(500):
        assert await socket.recv() == str(i)


async def client(host, port):
    url = f"ws://{host}:{port}/chat/room?x=1"
    async with connect(url, subprotocols=["other", "chat"]) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        await converse(socket, 1)
        await many_small(socket)
    async with connect(url) as socket:
        await socket.send("close 4001")
        try:
            await socket.recv()
            raise AssertionError("not closed")
        except websockets.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as you wish"), closed
    kept = [await connect(url) for _ in range(KEPT)]
    await asyncio.gather(*(converse(socket, seed) for seed, socket in enumerate(kept)))
    print("steady")
    await asyncio.get_running_loop().run_in_executor(None, os.read, 1, 1)
    await asyncio.gather(*(converse(socket, seed) for seed, socket in enumerate(kept)))
    await asyncio.gather(*(socket.close() for socket in kept))
    print("done")


if sys.argv[1] == "server":
    asyncio.run(serve())
else:
    asyncio.run(client(sys.argv[2], sys.argv[3]))
