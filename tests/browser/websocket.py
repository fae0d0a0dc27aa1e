#!/usr/bin/python3
"""Chromium speaks WebSocket to a real server through the proxy: text, binary, many at once, both sides' close codes.

  tests/browser/websocket.py --lotse build/release/lotse

Needs Debian's chromium and python3-websockets. The page tells its verdict by a request to the same proxy.
"""
import argparse
import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile

import websockets

PAGE = """<!doctype html><title>WebSocket</title><script>
const url = `ws://${location.host}/ws/echo`;
const open = () => new Promise((done, failed) => {
  const socket = new WebSocket(url, ['chat']);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => done(socket);
  socket.onerror = () => failed(new Error('cannot connect'));
});
const next = socket => new Promise((done, failed) => {
  socket.onmessage = event => done(event.data);
  socket.onclose = event => failed(new Error(`closed ${event.code}`));
});
const ended = socket => new Promise(done => { socket.onclose = event => done(`${event.code} ${event.reason} ${event.wasClean}`); });
const check = (is, what) => { if (!is) throw new Error(what); };
async function converse(socket, seed) {
  for (const size of [0, 1, 125, 126, 65535, 65536, 1000000]) {
    const sent = new Uint8Array(size).map((_, i) => (i * seed) & 255);
    socket.send(sent);
    const heard = new Uint8Array(await next(socket));
    check(heard.length === size && heard.every((byte, i) => byte === sent[i]), `binary of ${size}`);
    socket.send('ü'.repeat(size));
    check(await next(socket) === 'ü'.repeat(size), `text of ${size}`);
  }
}
(async () => {
  const first = await open();
  check(first.protocol === 'chat', `protocol ${first.protocol}`);
  await converse(first, 3);
  const many = await Promise.all(Array.from({length: 20}, open));
  await Promise.all(many.map((socket, i) => converse(socket, i)));
  let end = ended(first);
  first.send('close 4321');
  check(await end === '4321 as you wish true', 'the close of the server');
  end = ended(many[0]);
  many[0].close(4002, 'enough');
  check(await end === '4002 enough true', 'a close of ours');
  return 'passed';
})().catch(error => `failed: ${error.message}`).then(verdict => fetch('/page/verdict', {method: 'POST', body: verdict}));
</script>"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def echo(connection):
    try:
        async for message in connection:
            if isinstance(message, str) and message.startswith("close "):
                return await connection.close(int(message[6:]), "as you wish")
            await connection.send(message)
    except websockets.ConnectionClosed:
        pass


def page_server(verdict):
    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                if head.startswith("POST ") and not verdict.done():
                    verdict.set_result(body.decode())
                page = PAGE.encode() if head.startswith("GET / ") else b""
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
    return answer


async def until_ready(port):
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            return writer.close()
        except OSError:
            await asyncio.sleep(0.05)
    raise SystemExit("the proxy does not listen")


async def end(process):
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)  # a session of its own: a browser is many processes
        await process.wait()


async def main(arguments):
    verdict = asyncio.get_running_loop().create_future()
    folder = tempfile.mkdtemp(prefix="lotse-browser-")
    port, processes = free_port(), []
    pages = await asyncio.start_server(page_server(verdict), "127.0.0.1", 0)
    echoes = await websockets.serve(echo, "127.0.0.1", 0, max_size=1 << 24, subprotocols=["chat"])
    config = os.path.join(folder, "lotse.yaml")
    with open(config, "w") as file:
        file.write(f"""version: 1
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners: [{{name: web, address: "127.0.0.1:{port}"}}]
expose: {{path: true}}
discovery:
  sources:
    - static:
        /page: ["127.0.0.1:{pages.sockets[0].getsockname()[1]}"]
        /ws: ["127.0.0.1:{echoes.sockets[0].getsockname()[1]}"]
""")
    try:
        processes.append(await asyncio.create_subprocess_exec(
            arguments.lotse, "proxy", "--config", config, "--data", os.path.join(folder, "data"), start_new_session=True))
        await until_ready(port)
        processes.append(await asyncio.create_subprocess_exec(
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={folder}/profile", f"http://127.0.0.1:{port}/page/", "--remote-debugging-port=0",
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True))
        said = await asyncio.wait_for(verdict, arguments.seconds)
    except asyncio.TimeoutError:
        said = "no verdict in time"
    finally:
        for process in reversed(processes):
            await end(process)
        shutil.rmtree(folder, ignore_errors=True)
    print("chromium:", said)
    sys.exit(0 if said == "passed" else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lotse", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    asyncio.run(main(parser.parse_args()))
