#!/usr/bin/env python3
"""A proxy under everything at once, for the sanitizers: well-behaved clients, rude ones, rude endpoints, reloads, endpoints
that come and go, admin pages, and a graceful stop in the middle of it.

  tests/load/mixed_load.py --lotse build/asan/lotse --seconds 30

Fails (exit 1) when the proxy says a sanitizer's word, ends by itself, does not end with 0 after SIGTERM, or when a
well-behaved request gets anything but its answer. Loopback only, free ports, a temporary folder; needs python3.
"""
import argparse, asyncio, collections, json, os, random, re, shutil, signal, socket, struct, subprocess, sys, tempfile, time

COUNTS = collections.Counter()
BROKEN = []          # what must not have happened
STOPPING = asyncio.Event()


def free_ports(count):
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in holders]
    for one in holders:
        one.close()
    return ports


# ---- endpoints -------------------------------------------------------------------------------------------------------
async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    body = b""
    if length:
        body = await reader.readexactly(int(length[1]))
    elif re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I):
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            body += (await reader.readexactly(size + 2))[:size]
            if size == 0:
                break
    return head, body


def abort(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def endpoint(reader, writer):
    try:
        while True:
            head, body = await read_request(reader)
            what = re.match(rb"\S+ (\S+) ", head)[1].split(b"?")[0].rsplit(b"/", 1)[-1]
            if re.search(rb"\r\nexpect: *100-continue", head, re.I):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if head.startswith(b"HEAD "):  # a body here would come as junk into the next exchange: no proxy can know
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            elif what == b"chunked":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(random.randint(1, 20)):
                    size = random.choice([1, 10, 1000, 20000])
                    writer.write(b"%x\r\n%s\r\n" % (size, b"c" * size))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            elif what == b"close":
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"d" * 30000)
                await writer.drain()
                break
            elif what == b"big":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n")
                for _ in range(20):
                    writer.write(b"b" * 100000)
                    await writer.drain()
            elif what == b"truncated":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nonly this")
                await writer.drain()
                break
            elif what == b"reset":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                await writer.drain()
                return abort(writer)
            elif what == b"silent":
                await asyncio.sleep(random.uniform(0.05, 1.5))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            elif what == b"garbage":
                writer.write(os.urandom(random.randint(1, 300)))
                await writer.drain()
                break
            elif what == b"interim":
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            elif what == b"upgrade":
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                while data := await reader.read(4096):
                    writer.write(data)
                    await writer.drain()
                break
            elif what == b"surplus":  # bytes that nobody asked for, after the answer
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n")
            elif what == b"early":
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body) + 4, b"echo" + body))
            await writer.drain()
    except (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, TypeError):
        pass
    finally:
        writer.close()


# ---- clients ---------------------------------------------------------------------------------------------------------
class Client:
    def __init__(self, port):
        self.port = port

    async def open(self):
        self.reader, self.writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 20)

    async def answer(self, method=b"GET"):
        while True:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)
            status = int(head[9:12])
            if status >= 200 or status == 101:
                break
        body = b""
        if method != b"HEAD" and status not in (101, 204, 304):
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
            if length:
                body = await asyncio.wait_for(self.reader.readexactly(int(length[1])), 60)
            elif b"chunked" in head:
                while True:
                    size = int(await asyncio.wait_for(self.reader.readline(), 60), 16)
                    body += (await asyncio.wait_for(self.reader.readexactly(size + 2), 60))[:size]
                    if size == 0:
                        break
            else:
                body = await asyncio.wait_for(self.reader.read(-1), 60)
        return status, head, body

    def close(self):
        if hasattr(self, "writer"):
            self.writer.close()


GONE = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.TimeoutError, asyncio.LimitOverrunError, ValueError)


async def polite(port):
    """Its requests must all be answered, whatever else happens: the promise this program checks."""
    while not STOPPING.is_set():
        client = Client(port)
        try:
            await client.open()
        except GONE:
            if not STOPPING.is_set():
                BROKEN.append("a connect failed")
            return
        try:
            for _ in range(random.randint(1, 50)):
                body = b"x" * random.choice([0, 0, 10, 5000])
                path = random.choice([b"/app/echo", b"/app/chunked", b"/app/interim"])
                method = b"POST" if body else random.choice([b"GET", b"GET", b"HEAD"])
                client.writer.write(b"%s %s?n=%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (method, path, random.randint(0, 9), len(body), body))
                status, head, got = await client.answer(method)
                COUNTS["polite"] += 1
                if status != 200:
                    BROKEN.append(f"{method.decode()} {path.decode()}: {status} {got[:200]!r}")
                if b"connection: close" in head.lower():
                    break
        except GONE as error:
            # A POST is not repeated when an endpoint that was taken away resets it; everything else is answered.
            # Nobody is asked to stay: a connection that the proxy closed while idle is no failure either, but here none is.
            BROKEN.append(f"broken in the middle: {type(error).__name__} {error}")
        finally:
            client.close()


async def rude(port):
    while not STOPPING.is_set():
        client = Client(port)
        try:
            await client.open()
            kind = random.choice(KINDS)
            COUNTS[kind.__name__] += 1
            await asyncio.wait_for(kind(client), 30)
        except GONE:
            pass
        finally:
            client.close()
        await asyncio.sleep(0)


async def aborts(client):
    path = random.choice([b"echo", b"big", b"silent", b"chunked"])
    client.writer.write(b"GET /app/%s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    await client.reader.read(random.randint(1, 5000))
    abort(client.writer)


async def aborts_upload(client):
    client.writer.write(b"POST /app/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"u" * random.randint(0, 200000))
    await client.writer.drain()
    abort(client.writer)


async def pipelines(client):
    count = random.randint(2, 40)
    client.writer.write(b"GET /app/echo HTTP/1.1\r\nHost: x\r\n\r\n" * count)
    for _ in range(count):
        await client.answer()


async def chunks(client):
    client.writer.write(b"POST /app/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(random.randint(0, 10)):
        size = random.choice([1, 100, 10000])
        client.writer.write(b"%x;ext=1\r\n%s\r\n" % (size, b"k" * size))
        await asyncio.sleep(0)
    client.writer.write(b"0\r\nTrailer: x\r\n\r\n")
    await client.answer()


async def slow_head(client):
    for byte in b"GET /app/echo HTTP/1.1\r\nHost: x\r\n\r\n":
        client.writer.write(bytes([byte]))
        await asyncio.sleep(random.choice([0, 0.001, 0.05]))
    await client.answer()


async def slow_reader(client):
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.writer.write(b"GET /app/big HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(20):
        if not await client.reader.read(20000):
            break
        await asyncio.sleep(0.02)


async def garbage(client):
    client.writer.write(random.choice([os.urandom(200), b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"GET /app/%2f HTTP/1.1\r\nHost: x\r\n\r\n",
                                       b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                                       b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n"]))
    await client.reader.read(4096)


async def bad_endpoint(client):
    path = random.choice([b"truncated", b"reset", b"garbage", b"surplus", b"close", b"early", b"silent"])
    client.writer.write(b"GET /app/%s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    await client.answer()


async def early(client):
    client.writer.write(b"POST /app/early HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n" + b"e" * random.choice([0, 500, 100000]))
    await client.answer()


async def tunnel(client):
    client.writer.write(b"GET /app/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    status, _, _ = await client.answer()
    if status != 101:
        return
    for _ in range(random.randint(0, 10)):
        client.writer.write(b"t" * 1000)
        await client.reader.readexactly(1000)
    if random.random() < 0.3:
        abort(client.writer)


async def half_closes(client):
    client.writer.write(b"GET /app/echo HTTP/1.1\r\nHost: x\r\n\r\n")
    client.writer.write_eof()
    await client.answer()


async def idles(client):
    await asyncio.sleep(random.uniform(0, 2))


async def nowhere(client):
    client.writer.write(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\nGET /dead/x HTTP/1.0\r\n\r\n")
    await client.answer()
    await client.reader.read(-1)


KINDS = [aborts, aborts_upload, pipelines, chunks, slow_head, slow_reader, garbage, bad_endpoint, bad_endpoint, early, tunnel, half_closes, idles, nowhere]


# ---- the proxy -------------------------------------------------------------------------------------------------------
def write_config(args, turn):
    """Endpoints come and go and come back, but the first always stays; so does the first listener."""
    live = [args.endpoints[0]] + [port for i, port in enumerate(args.endpoints[1:]) if (turn + i) % 3]
    text = f"""version: 1
workers: 2
admin: {{address: "127.0.0.1:{args.admin}"}}
access_log: {{path: "{args.folder}/access.log"}}
listeners:
  - {{name: web, address: "127.0.0.1:{args.port}"}}
"""
    if turn % 2:
        text += f'  - {{name: second, address: "127.0.0.1:{args.second}"}}\n'
    text += f"""routes:
  - {{match: {{path: /app}}, to: /app, retry: {{attempts: 3, when: [connect, refused]}}}}
  - {{match: {{path: /dead}}, to: /dead}}
discovery:
  sources: [{{static: {{/app: [{", ".join(f'"127.0.0.1:{port}"' for port in live)}], /dead: ["127.0.0.1:{args.dead}"]}}}}]
timeouts: {{header: 2s, stream_idle: 5s, downstream_idle: 3s, first_byte: 10s, upstream_idle: 500ms, drain: 15s, queue: 10s, worker_stall: 3s}}
limits: {{upstream_connections_per_endpoint_max: {random.choice([8, 64])}}}
"""
    with open(f"{args.folder}/lb.yaml.new", "w") as file:
        file.write(text)
    os.rename(f"{args.folder}/lb.yaml.new", f"{args.folder}/lb.yaml")


async def reloads(args, proxy):
    turn = 0
    while not STOPPING.is_set():
        await asyncio.sleep(random.uniform(0.1, 0.5))
        turn += 1
        write_config(args, turn)
        if turn % 4 == 0 and proxy.poll() is None:
            if os.path.exists(f"{args.folder}/access.log"):
                os.rename(f"{args.folder}/access.log", f"{args.folder}/access.log.{turn}")
            proxy.send_signal(signal.SIGHUP)
        COUNTS["reloads"] += 1


async def page(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
    try:
        return (await asyncio.wait_for(reader.read(-1), 60)).decode(errors="replace")
    finally:
        writer.close()


async def scrapes(args):
    while not STOPPING.is_set():
        for path in ("/metrics", "/v1/routes", "/v1/stats", "/v1/config", "/readyz", "/healthz", "/v1/explain?url=http://x/app/y"):
            try:
                await page(args.admin, path)
                COUNTS["pages"] += 1
            except GONE:
                pass
        await asyncio.sleep(0.1)


async def run(args):
    servers = []
    for port in args.endpoints:
        servers.append(await asyncio.start_server(endpoint, "127.0.0.1", port))
    write_config(args, 0)
    stderr = open(f"{args.folder}/stderr", "w+")
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1", UBSAN_OPTIONS="print_stacktrace=1",
               TSAN_OPTIONS="second_deadlock_stack=1")
    proxy = subprocess.Popen([args.lotse, "proxy", "--config", f"{args.folder}/lb.yaml", "--data", f"{args.folder}/data"], stderr=stderr, stdout=stderr, env=env)
    failures = []
    tasks = []
    try:
        for _ in range(300):
            try:
                if "200 OK" in await page(args.admin, "/readyz"):
                    break
            except GONE:
                pass
            await asyncio.sleep(0.1)
        tasks = [asyncio.create_task(polite(args.port)) for _ in range(args.polite)]
        tasks += [asyncio.create_task(rude(args.port)) for _ in range(args.rude)]
        tasks += [asyncio.create_task(reloads(args, proxy)), asyncio.create_task(scrapes(args))]
        wrk = None
        if shutil.which("wrk"):
            wrk = subprocess.Popen(["wrk", "-t1", "-c8", f"-d{max(args.seconds - 2, 1)}", f"http://127.0.0.1:{args.port}/app/wrk"], stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + args.seconds
        while time.monotonic() < end and proxy.poll() is None:
            await asyncio.sleep(0.2)
        if proxy.poll() is not None:
            failures.append(f"the proxy ended by itself with {proxy.returncode}")
        if wrk:
            out = await asyncio.to_thread(lambda: wrk.communicate()[0])
            answered = re.search(r"(\d+) requests in", out)
            COUNTS["wrk"] = int(answered[1]) if answered else 0
            if "Non-2xx" in out or "Socket errors" in out:
                failures.append("wrk: " + " ".join(line.strip() for line in out.splitlines() if "Non-2xx" in line or "Socket errors" in line))
        metrics = await page(args.admin, "/metrics") if proxy.poll() is None else ""
        with open(f"/proc/{proxy.pid}/status") as status:
            rss = re.search(r"VmRSS:\s+(\d+)", status.read())
        STOPPING.set()
        proxy.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(proxy.wait, 60)
            if code != 0:
                failures.append(f"exit code {code} after SIGTERM")
        except subprocess.TimeoutExpired:
            failures.append("still there 60 s after SIGTERM")
    finally:
        STOPPING.set()
        if proxy.poll() is None:
            proxy.kill()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in servers:
            server.close()
    stderr.seek(0)
    said = stderr.read()
    if re.search(r"Sanitizer|runtime error:", said):
        at = re.search(r"Sanitizer|runtime error:", said).start()
        failures.append("a sanitizer spoke:\n" + said[max(0, at - 500):at + 6000])
    if "stalled" in said:
        COUNTS["stalls said"] = said.count("is stalled")
    if BROKEN:
        failures.append(f"{len(BROKEN)} well-behaved requests failed, the first: " + "; ".join(BROKEN[:5]))
    try:
        for name in os.listdir(args.folder):
            if not name.startswith("access.log"):
                continue
            with open(f"{args.folder}/{name}", "rb") as log:
                for line in log:
                    entry = json.loads(line)
                    COUNTS["log lines"] += 1
                    if entry.get("path") == "/app/wrk" and entry["status"] not in (200, 499):
                        failures.append("the log says: " + line.decode().strip())
    except (OSError, ValueError) as error:
        failures.append(f"the access log: {error}")
    print("mixed load:", ", ".join(f"{count} {name}" for name, count in sorted(COUNTS.items())), f"; RSS {int(rss[1]) // 1024} MiB" if rss else "")
    for failure in failures:
        print("FAILED -", failure)
    if failures:
        print(f"its words are in {args.folder}/stderr")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lotse", required=True)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--polite", type=int, default=8)
    parser.add_argument("--rude", type=int, default=24)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    random.seed(args.seed)
    args.folder = tempfile.mkdtemp(prefix="lotse-load-")
    *args.endpoints, args.port, args.second, args.admin, args.dead = free_ports(8)
    code = asyncio.run(run(args))
    if code == 0:
        shutil.rmtree(args.folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
