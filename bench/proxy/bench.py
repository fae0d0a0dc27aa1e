#!/usr/bin/env python3
"""Side-by-side proxy measurements on loopback. See README.md.

  bench.py                       quick run (5 to 8 minutes) of every fast proxy of the table found on this machine
  bench.py --only floor,nginx,haproxy,lotse --figures h1,paced
  bench.py --as nginx-new=nginx:/path/to/other/nginx      one more column: the nginx entry with another binary
"""
import argparse, atexit, json, os, re, resource, shutil, signal, statistics, subprocess, sys, tempfile, time
import http.client, ssl

HERE = os.path.dirname(os.path.abspath(__file__))

# ---- the proxies: add one entry, and a config template in peers/ if it needs one -------------------------------------
# cmd: start in the foreground.  {BIN} the binary, {CONF} the filled-in template, {PORT}/{TLS} {TCP} ports to listen on,
# {BACKEND} the backend's port, {DIR} a scratch folder, {CERT} {KEY} {PEM} the certificate, {SRC} the built floor programs.
# env: the variable that may name another binary.  can: h1, tls (TLS listener), h2 (HTTP/2 by ALPN on that listener), relay (TCP on {TCP} and WebSocket, both to {ECHO}).
PROXIES = {
    "floor":        dict(kind="floor", cmd="{SRC}/floor_relay {PORT} {BACKEND}", can="h1"),
    "floor-splice": dict(kind="floor", cmd="{SRC}/floor_relay {PORT} {BACKEND} splice", can="h1"),
    "floor-uv":     dict(kind="floor", cmd="{SRC}/floor_uv {PORT} {BACKEND}", can="h1"),
    "nginx":   dict(kind="peer", bin="nginx", env="NGINX_BIN", conf="nginx.conf", cmd="{BIN} -p {DIR} -c {CONF}", ver="-v", can="h1 tls h2 relay"),
    "haproxy": dict(kind="peer", bin="haproxy", env="HAPROXY_BIN", conf="haproxy.cfg", cmd="{BIN} -db -f {CONF}", ver="-v", can="h1 tls h2 relay"),
    "h2o":     dict(kind="peer", bin="h2o", env="H2O_BIN", conf="h2o.yaml", cmd="{BIN} -c {CONF}", ver="-v", can="h1 tls h2"),
    "lotse":   dict(kind="ours", bin="lotse", env="LOTSE_BIN", conf="lotse.yaml", cmd="{BIN} proxy --config {CONF} --data {DIR}/lotse", ver="--version", can="h1 tls h2 relay"),
}
PROXY_CPU, LOAD_CPU = 0, 1
BROWSER = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=all-2026-11-23",
    "Referer: https://www.example.org/some/path/to/a/page?with=query&and=more", "Cache-Control: no-cache",
    "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Upgrade-Insecure-Requests: 1"]

# ---- figures: key -> (label, direction) in table order; the functions below fill them ---------------------------------
ROWS = [
    ("h1_cpu",    "HTTP/1.1 keep-alive 1 KiB: CPU µs/req at max load", "↓"),
    ("h1_rps",    "HTTP/1.1 keep-alive 1 KiB: max req/s", "↑"),
    ("h1_busy",   "… share of the proxy's CPU in use at max, %", ""),
    ("h1_user",   "… share of that time in user code, %", ""),
    ("hdr_cpu",   "same with 11 browser headers: CPU µs/req", "↓"),
    ("pace_cpu",  "same at the fixed rate: CPU µs/req", "↓"),
    ("p50",       "latency at the fixed rate: p50 µs", "↓"),
    ("p99",       "latency at the fixed rate: p99 µs", "↓"),
    ("sys_max",   "syscalls/req at max load", "↓"),
    ("sys_pace",  "syscalls/req at the fixed rate", "↓"),
    ("b64",       "64 KiB bodies: MB per proxy CPU-second", "↑"),
    ("b1m",       "1 MiB bodies: MB per proxy CPU-second", "↑"),
    ("new_cpu",   "new connection per request: CPU µs/conn", "↓"),
    ("new_rps",   "new connection per request: conn/s", "↑"),
    ("log_cpu",   "keep-alive 1 KiB at the fixed rate with the access log on: CPU µs/req", "↓"),
    ("log_ratio", "… against the same without, next to it", ""),
    ("w2_cpu",    "two workers at the fixed rate: CPU µs/req", "↓"),
    ("w2_ratio",  "… against one worker, next to it (at most 1.11)", ""),
    ("tcp1k",     "TCP relay, 1 KiB back and forth on 64 connections: MB per proxy CPU-second", "↑"),
    ("tcp1m",     "TCP relay, 1 MiB back and forth on 16 connections: MB per proxy CPU-second", "↑"),
    ("ws1k",      "WebSocket, 1 KiB back and forth on 64 connections: MB per proxy CPU-second", "↑"),
    ("ws1m",      "WebSocket, 1 MiB back and forth on 16 connections: MB per proxy CPU-second", "↑"),
    ("hs_cpu",    "TLS 1.3 full handshake + 1 request: CPU µs", "↓"),
    ("hs_rps",    "TLS 1.3 full handshakes/s", "↑"),
    ("tls_cpu",   "TLS keep-alive 1 KiB: CPU µs/req", "↓"),
    ("tls_rps",   "TLS keep-alive 1 KiB: req/s", "↑"),
    ("h2_cpu",    "HTTP/2 over TLS, 16 conn × 32 streams, 1 KiB: CPU µs/req", "↓"),
    ("h2_rps",    "HTTP/2 over TLS: req/s", "↑"),
    ("rss0",      "memory at start: RSS MiB", "↓"),
    ("rss5k",     "memory with 5,000 idle keep-alive clients: RSS MiB", "↓"),
    ("rss_conn",  "… growth per idle client, KiB", "↓"),
]

class Wrong(Exception):
    pass

class Proc:
    """A child pinned to one CPU, in its own process group; counts the CPU time and memory of the whole group."""
    def __init__(self, argv, cpu, **kw):
        def pre():
            os.sched_setaffinity(0, {cpu})
            resource.setrlimit(resource.RLIMIT_NOFILE, (NOFILE, NOFILE))
        self.p = subprocess.Popen(argv, preexec_fn=pre, start_new_session=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, **kw)
        self.ids = [self.p.pid]
    def refresh(self):  # every process of the session, and their children (a daemon may have left the session)
        rows = []
        for d in os.listdir("/proc"):
            if d.isdigit():
                try:
                    f = open(f"/proc/{d}/stat").read().rsplit(")", 1)[1].split()
                    rows.append((int(d), int(f[1]), int(f[3])))
                except OSError:
                    pass
        ids = {self.p.pid}
        for _ in range(4):
            ids |= {pid for pid, ppid, sid in rows if sid == self.p.pid or ppid in ids}
        self.ids = sorted(ids)
    def cpu(self):  # seconds, nanosecond grain: the run time of every thread
        t = 0
        for i in self.ids:
            for th in os.listdir(f"/proc/{i}/task"):
                t += int(open(f"/proc/{i}/task/{th}/schedstat").read().split()[0])
        return t / 1e9
    def user(self):  # clock ticks in user code and in all
        u = k = 0
        for i in self.ids:
            f = open(f"/proc/{i}/stat").read().rsplit(")", 1)[1].split()
            u += int(f[11]); k += int(f[12])
        return u, u + k
    def rss(self):  # MiB
        return sum(int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{i}/status").read())[1]) for i in self.ids) / 1024
    def stop(self):
        self.p.terminate()
        try:
            self.p.wait(3)
        except subprocess.TimeoutExpired:
            pass
        for i in self.ids:  # whatever of its own processes is left
            try:
                os.kill(i, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.p.wait()

def run(argv, timeout=60):
    env = dict(os.environ, OPENSSL_CONF=f"{HERE}/peers/client.cnf")
    def pre():
        os.sched_setaffinity(0, {LOAD_CPU})
        resource.setrlimit(resource.RLIMIT_NOFILE, (NOFILE, NOFILE))
    r = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, env=env, preexec_fn=pre)
    return r.stdout, r.stderr

# ---- load generators: each returns ok, secs, bytes (and p50/p99), and raises Wrong on any bad response -----------------
def wrk(port, size, secs, conns, tls=False, headers=()):
    out, err = run(["wrk", "-t1", f"-c{conns}", f"-d{secs}", "--timeout", "20s", "-s", f"{HERE}/peers/wrk.lua",
                    f"http{'s' if tls else ''}://127.0.0.1:{port}/{size}", "--", *headers])
    m = re.search(r"JSON(\{.*\})", out)
    r = json.loads(m[1]) if m else {"ok": 0, "bad": 1}
    if r["bad"] or not r["ok"] or not 0 <= r["bytes"] / r["ok"] - size < 1200 + size * conns / r["ok"]:
        raise Wrong(f"wrk: {r} {err[:200]} {out[-200:]}")
    return r

def lg(port, size, *args):
    out, err = run([f"{SRC}/lg", "-p", str(port), "-u", f"/{size}", *map(str, args)])
    r = json.loads(out.splitlines()[-1]) if out else {"ok": 0, "bad": 1}
    if r["bad"] or not r["ok"]:
        raise Wrong(f"lg: {r} {err[:300]}")
    return r

def h2load(port, size, n, conns=16, streams=32):
    out, err = run(["h2load", "-n", str(n), "-c", str(conns), "-m", str(streams), "--tls13-ciphers=TLS_AES_128_GCM_SHA256",
                    f"https://127.0.0.1:{port}/{size}"])
    m = re.search(r"finished in ([\d.]+)(m?s)", out)
    codes, data = re.search(r"status codes: (\d+) 2xx", out), re.search(r"\((\d+)\) data", out)
    if "Application protocol: h2\n" not in out or not m or int(codes[1]) != n or int(data[1]) != n * size:
        raise Wrong("h2load: " + out[-600:] + err[-200:])
    return {"ok": n, "secs": float(m[1]) / (1000 if m[2] == "ms" else 1), "bytes": int(data[1])}

def relay(port, kind, size, conns):  # what goes to the server and comes back, both counted
    out, err = run([f"{SRC}/relay", "load", str(port), kind, str(size), str(conns), "1"])
    r = json.loads(out) if out else {"ok": 0, "bad": 1}
    if r["bad"] or not r["ok"]:
        raise Wrong(f"relay {kind}: {r} {err[:300]}")
    return r

# ---- one sample: CPU of the proxy around one load run, retried when the hypervisor stole too much ----------------------
def host():  # steal and busy ticks (proxy CPU, load CPU)
    st = {}
    for line in open("/proc/stat"):
        f = line.split()
        if f[0] in (f"cpu{PROXY_CPU}", f"cpu{LOAD_CPU}"):
            v = list(map(int, f[1:]))
            st[int(f[0][3:])] = (v[7], v[0] + v[1] + v[2] + v[5] + v[6])
    return st
NOISE = []
def sample(px, load):
    best = None
    for _ in range(1 + ARGS.retries):
        h0, u0, c0, t0 = host(), px.proc.user(), px.proc.cpu(), time.monotonic()
        r = load(px)
        wall, c1, u1, h1 = time.monotonic() - t0, px.proc.cpu(), px.proc.user(), host()
        steal = max((h1[c][0] - h0[c][0]) / wall for c in h0)  # ticks of 10 ms: a percentage
        other = (h1[PROXY_CPU][1] - h0[PROXY_CPU][1]) / wall - (c1 - c0) / wall * 100
        r.update(cpu=c1 - c0, user=(u1[0] - u0[0]) / max(1, u1[1] - u0[1]) * 100, busy=(c1 - c0) / wall * 100, steal=steal, other=other)
        if best is None or steal < best["steal"]:
            best = r
        if steal <= ARGS.max_steal:
            break
        time.sleep(0.5)
    NOISE.append((best["steal"], best["other"]))
    return best

def us(r):
    return r["cpu"] / r["ok"] * 1e6

# ---- the figures: name -> (needs, function(proxy) -> {row key: value}) -------------------------------------------------
def f_h1(px):
    r = sample(px, lambda p: wrk(p.port, 1024, ARGS.secs, 64))
    return {"h1_cpu": us(r), "h1_rps": r["ok"] / r["secs"], "h1_busy": r["busy"], "h1_user": r["user"]}
def f_headers(px):
    return {"hdr_cpu": us(sample(px, lambda p: wrk(p.port, 1024, 1, 64, headers=BROWSER)))}
def f_paced(px):
    r = sample(px, lambda p: lg(p.port, 1024, "-c", 64, "-d", ARGS.secs, "-r", RATE))
    if r["unsent"] or r["secs"] > ARGS.secs * 1.1:
        return {}  # cannot carry the rate: no latency to speak of
    return {"pace_cpu": us(r), "p50": r["p50"], "p99": r["p99"]}
def f_b64(px):
    r = sample(px, lambda p: wrk(p.port, 65536, 1, 16))
    return {"b64": r["bytes"] / 1e6 / r["cpu"]}
def f_b1m(px):
    r = sample(px, lambda p: wrk(p.port, 1048576, 1, 16))
    return {"b1m": r["bytes"] / 1e6 / r["cpu"]}
def f_new(px):
    r = sample(px, lambda p: lg(p.port, 128, "-x", "-c", 32, "-n", 12000))
    return {"new_cpu": us(r), "new_rps": r["rps"]}
def paced(px):
    r = sample(px, lambda p: lg(p.port, 1024, "-c", 64, "-d", ARGS.secs, "-r", RATE))
    if r["unsent"] or r["secs"] > ARGS.secs * 1.1:
        raise Wrong("cannot carry the fixed rate")
    return us(r)
VARIANTS = {}
def against_variant(px, key, old, new):  # ours only: the same program with one line of its configuration changed, in turn with itself
    if px.e["kind"] != "ours":
        return {}
    if (px.name, key) not in VARIANTS:
        VARIANTS[px.name, key] = Running(px.name, edit=(old, new))
        wrk(VARIANTS[px.name, key].port, 1024, 1, 64)
    plain, other = paced(px), paced(VARIANTS[px.name, key])
    return {f"{key}_cpu": other, f"{key}_ratio": other / plain}
def f_workers(px):
    return against_variant(px, "w2", "workers: 1", "workers: 2")
def f_log(px):
    return against_variant(px, "log", "version: 1", 'version: 1\naccess_log: {path: "{DIR}/access.log"}')
def f_relay(px):
    out = {}
    for kind, port in (("tcp", px.tcp), ("ws", px.port)):
        for label, size, conns in (("1k", 1024, 64), ("1m", 1048576, 16)):
            r = sample(px, lambda p: relay(port, kind, size, conns))
            out[kind + label] = r["bytes"] / 1e6 / r["cpu"]
    return out
def f_handshake(px):
    r = sample(px, lambda p: lg(p.tls, 128, "-x", "-t", "-c", 16, "-n", 1500))
    return {"hs_cpu": us(r), "hs_rps": r["rps"]}
def f_tls(px):
    r = sample(px, lambda p: wrk(p.tls, 1024, 1, 64, tls=True))
    return {"tls_cpu": us(r), "tls_rps": r["ok"] / r["secs"]}
def f_h2(px):
    r = sample(px, lambda p: h2load(p.tls, 1024, 40000))
    return {"h2_cpu": us(r), "h2_rps": r["ok"] / r["secs"]}
FIGURES = {"h1": ("h1", f_h1), "headers": ("h1", f_headers), "paced": ("h1", f_paced), "b64": ("h1", f_b64), "b1m": ("h1", f_b1m),
           "new": ("h1", f_new), "log": ("h1", f_log), "workers": ("h1", f_workers),
           "relay": ("relay", f_relay),
           "handshake": ("tls", f_handshake), "tls": ("tls", f_tls), "h2": ("h2", f_h2)}

# once per proxy: syscalls (perf counts them at almost no cost) and memory (a fresh instance)
CALLS = "epoll_wait epoll_pwait epoll_pwait2 epoll_ctl read readv recvfrom recvmsg write writev sendto sendmsg accept4 close shutdown setsockopt getsockopt futex splice ioctl poll io_uring_enter".split()
def syscalls(px, load):
    ev = ["raw_syscalls:sys_enter"] + [f"syscalls:sys_enter_{c}" for c in CALLS if c in HAVE_CALLS]
    with tempfile.NamedTemporaryFile() as f:
        st = subprocess.Popen(["perf", "stat", "-x,", "-o", f.name, "-e", ",".join(ev), "-p", ",".join(map(str, px.proc.ids))],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.15)
        r = load()
        st.send_signal(signal.SIGINT); st.wait()
        n = {m[2]: int(m[1]) / r["ok"] for m in re.finditer(r"^(\d+),[^,]*,(?:raw_)?syscalls:sys_enter_?(\w*)", open(f.name).read(), re.M)}
    return n.pop("", None), {k: v for k, v in n.items() if v >= 0.005}

def idle_memory(name):
    px = Running(name)
    try:
        time.sleep(0.3); px.proc.refresh()
        before = px.proc.rss()
        env = dict(os.environ, OPENSSL_CONF=f"{HERE}/peers/client.cnf")
        g = subprocess.Popen([f"{SRC}/lg", "-p", str(px.port), "-u", "/1024", "-c", "5000", "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True, env=env, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (NOFILE, NOFILE)))
        if g.stdout.readline().strip() != "READY":
            raise Wrong("lg: idle connections did not open")
        time.sleep(1)
        after = px.proc.rss()
        out, _ = g.communicate("", timeout=20)
        r = json.loads(out)
        if r["bad"] or r["ok"] != 5000:
            raise Wrong(f"idle: {r}")
        return {"rss0": before, "rss5k": after, "rss_conn": (after - before) * 1024 / 5000}
    finally:
        px.stop()

# ---- a proxy started from its table entry ------------------------------------------------------------------------------
NEXT_PORT = [8100]
class Running:
    def __init__(self, name, edit=("", "")):
        e = self.e = PROXIES[name]; self.name = name
        self.port, self.tls, self.tcp = NEXT_PORT[0], NEXT_PORT[0] + 1, NEXT_PORT[0] + 2
        NEXT_PORT[0] += 3
        self.dir = tempfile.mkdtemp(prefix=f"{name}-", dir=WORK); os.chmod(self.dir, 0o777)
        sub = dict(BIN=e.get("path", ""), PORT=self.port, TLS=self.tls, TCP=self.tcp, BACKEND=BACKEND, ECHO=ECHO, DIR=self.dir, SRC=SRC,
                   CERT=f"{WORK}/cert.pem", KEY=f"{WORK}/key.pem", PEM=f"{WORK}/both.pem", CONF=f"{self.dir}/{e.get('conf')}")
        fill = lambda s: re.sub(r"\{([A-Z]+)\}", lambda m: str(sub[m[1]]), s)
        if e.get("conf"):
            open(sub["CONF"], "w").write(fill(open(f"{HERE}/peers/{e['conf']}").read().replace(*edit, 1)))
        self.log = open(f"{self.dir}/stderr", "w+")
        self.proc = Proc(fill(e["cmd"]).split(), PROXY_CPU, stderr=self.log, cwd=self.dir, env=dict(os.environ, GOMAXPROCS="1", HOME=self.dir))
        try:
            for _ in range(100):
                if self.proc.p.poll() is not None:
                    raise Wrong("it ended at start")
                try:
                    self.check(); break
                except OSError:
                    time.sleep(0.1)
            else:
                raise Wrong("it does not answer")
            self.proc.refresh()
        except Exception:
            self.log.seek(0); print(f"{name}: {self.log.read()[-800:]}", file=sys.stderr)
            self.stop(); raise
    def check(self):  # every size, byte for byte, on every listener
        ctx = ssl.create_default_context(cafile=f"{WORK}/cert.pem"); ctx.check_hostname = False
        for tls in [False] + ["tls" in self.e["can"].split()] * ("tls" in self.e["can"].split()):
            c = http.client.HTTPSConnection("127.0.0.1", self.tls, context=ctx, timeout=5) if tls else http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            for size in (0, 128, 1024, 65536, 1048576):
                c.request("GET", f"/{size}"); r = c.getresponse(); body = r.read()
                if r.status != 200 or body != b"x" * size:
                    raise Wrong(f"/{size}: status {r.status}, {len(body)} bytes")
            c.close()
        if "h2" in self.e["can"].split():
            h2load(self.tls, 65536, 20, conns=2, streams=4)
    def stop(self):
        self.proc.stop()

# ---- the table ---------------------------------------------------------------------------------------------------------
def fmt(v):
    return f"{v:,.0f}" if v >= 1000 else f"{v:.0f}" if v >= 100 else f"{v:.1f}" if v >= 10 else f"{v:.2f}"

def table(names, data):
    """Cell: median, then ratio to the best peer / ratio to the floor, each the median of the rounds' own ratios."""
    out = ["| figure | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    peers = [n for n in names if PROXIES[n]["kind"] == "peer"]
    for key, label, way in ROWS:
        have = {n: data[n][key] for n in names if data[n].get(key)}
        if not have:
            continue
        med = {n: statistics.median(v) for n, v in have.items()}
        cand = [n for n in peers if n in med]
        best = (min if way == "↓" else max)(cand, key=med.get) if cand and way else None
        cells = []
        for n in names:
            if n not in med:
                cells.append("—"); continue
            ratio = lambda base: fmt(statistics.median(a / b for a, b in zip(have[n], have[base]))) if base in have and min(have[base]) > 0 and way else "–"
            cells.append((f"**{fmt(med[n])}**" if n == best else fmt(med[n])) + (f" ({ratio(best) if best else '–'} / {ratio('floor')})" if way else ""))
        out.append(f"| {label} {way} | " + " | ".join(cells) + " |")
    return "\n".join(out)

def main():
    global ARGS, NOFILE, WORK, SRC, BACKEND, ECHO, RATE, HAVE_CALLS
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--only", help="comma-separated names; default: all found")
    ap.add_argument("--all", action="store_true", help="with the slow peers too")
    ap.add_argument("--skip", default="", help="comma-separated names to leave out")
    ap.add_argument("--as", dest="alias", action="append", default=[], metavar="NAME=ENTRY:BINARY")
    ap.add_argument("--figures", default=",".join(FIGURES) + ",syscalls,memory")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--secs", type=int, default=2, help="length of the main runs")
    ap.add_argument("--rate", type=int, default=0, help="fixed rate of the latency runs; default: half of the slowest nginx/haproxy/h2o max")
    ap.add_argument("--max-steal", type=float, default=6, help="per cent of stolen time above which a sample is taken again")
    ap.add_argument("--retries", type=int, default=2)
    ap.add_argument("--out", help="also append the table to this file")
    ARGS = ap.parse_args()
    if os.geteuid() == 0 and not os.environ.get("PROXYBENCH_NETNS"):  # a private loopback: no other traffic, no conntrack, no way out
        os.environ["PROXYBENCH_NETNS"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable] + sys.argv)
    if os.environ.get("PROXYBENCH_NETNS"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for k, v in {"net.ipv4.ip_local_port_range": "10000 65000", "net.ipv4.tcp_congestion_control": "reno", "net.core.somaxconn": "4096"}.items():
            subprocess.run(["sysctl", "-qw", f"{k}={v}"], stderr=subprocess.DEVNULL)
    NOFILE = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    started = time.monotonic()
    WORK = tempfile.mkdtemp(prefix="proxybench-"); os.chmod(WORK, 0o755)
    atexit.register(shutil.rmtree, WORK, ignore_errors=True)
    SRC = WORK; BACKEND = 8090; ECHO = 8091
    for prog, libs in {"backend": [], "relay": [], "floor_relay": [], "floor_uv": ["-luv"], "lg": ["-lssl", "-lcrypto", "-lm"]}.items():
        subprocess.run(["cc", "-O2", "-o", f"{SRC}/{prog}", f"{HERE}/src/{prog}.c", *libs], check=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-keyout", f"{WORK}/key.pem", "-out", f"{WORK}/cert.pem"], check=True, stderr=subprocess.DEVNULL)
    open(f"{WORK}/both.pem", "w").write(open(f"{WORK}/cert.pem").read() + open(f"{WORK}/key.pem").read())
    for f in ("key.pem", "both.pem"):
        os.chmod(f"{WORK}/{f}", 0o644)  # a throw-away key; some peers read it as another user
    HAVE_CALLS = {d[10:] for d in os.listdir("/sys/kernel/tracing/events/syscalls")} if os.path.isdir("/sys/kernel/tracing/events/syscalls") and shutil.which("perf") else set()

    for a in ARGS.alias:
        name, rest = a.split("=", 1); entry, path = rest.split(":", 1)
        PROXIES[name] = dict(PROXIES[entry], path=path)
        if ARGS.only:
            ARGS.only += "," + name
        keys = list(PROXIES); keys.remove(name); keys.insert(keys.index(entry), name)
        for k in keys:
            PROXIES[k] = PROXIES.pop(k)
    for name, e in PROXIES.items():
        if e.get("bin") and "path" not in e:
            e["path"] = os.environ.get(e["env"]) or shutil.which(e["bin"]) or ""
    names = ARGS.only.split(",") if ARGS.only else [n for n, e in PROXIES.items() if (not e.get("bin") or e["path"]) and (ARGS.all or not e.get("slow"))]
    names = [n for n in names if n not in ARGS.skip.split(",")]

    backend = Proc([f"{SRC}/backend", str(BACKEND)], LOAD_CPU)
    echo = Proc([f"{SRC}/relay", "server", str(ECHO)], LOAD_CPU)
    px, data, calls, failed, broken = [], {}, {}, [], set()
    try:
        for n in names:
            try:
                px.append(Running(n)); data[n] = {}
            except Wrong as err:
                failed.append(f"{n}: {err}")
        for p in list(px):  # warm up, and find the fixed rate
            try:
                p.max = wrk(p.port, 1024, 1, 64)["ok"]
            except Wrong as err:
                failed.append(f"{p.name}, warm-up: {err}"); p.stop(); px.remove(p)
        ranked = [p.max for p in px if re.match("nginx|haproxy|h2o", p.name)] or [p.max for p in px]
        RATE = ARGS.rate or int(min(ranked) / 2 / 500) * 500
        for fig in ARGS.figures.split(","):
            if fig not in FIGURES:
                continue
            need, fn = FIGURES[fig]
            for _ in range(ARGS.rounds):  # A B C A B C: alternate within each figure
                for p in px:
                    if need in p.e["can"].split() and (p.name, fig) not in broken:
                        try:
                            for k, v in fn(p).items():
                                data[p.name].setdefault(k, []).append(v)
                        except Wrong as err:
                            broken.add((p.name, fig)); failed.append(f"{p.name}, {fig}: {err}")
            print(f"[{time.monotonic() - started:4.0f} s] {fig} done", file=sys.stderr)
        if "syscalls" in ARGS.figures and HAVE_CALLS:
            for p in px:
                try:
                    t, calls[p.name] = syscalls(p, lambda: wrk(p.port, 1024, 1, 64))
                    data[p.name]["sys_max"] = [t]
                    if "pace_cpu" in data[p.name]:
                        data[p.name]["sys_pace"] = [syscalls(p, lambda: lg(p.port, 1024, "-c", 64, "-d", 1, "-r", RATE))[0]]
                except Wrong as err:
                    failed.append(f"{p.name}, syscalls: {err}")
        if "memory" in ARGS.figures:
            for p in px:
                try:
                    data[p.name].update({k: [v] for k, v in idle_memory(p.name).items()})
                except Wrong as err:
                    failed.append(f"{p.name}, memory: {err}")
    finally:
        for p in px + list(VARIANTS.values()):
            p.stop()
        backend.stop(); echo.stop()
    names = [p.name for p in px]
    text = [table(names, data), "", "Cell: median (ratio to the best peer, in bold / ratio to the floor). ↓ lower is better, ↑ higher is better.", ""]
    if calls:
        text += ["Syscalls per request at max load, by name:", ""] + [f"- {n}: " + ", ".join(f"{k} {v:.2f}" for k, v in sorted(c.items(), key=lambda x: -x[1])) for n, c in calls.items()] + [""]
    vers = []
    for n in names:
        e = PROXIES[n]
        if e.get("ver"):
            r = subprocess.run([e["path"], *e["ver"].split()], capture_output=True, text=True)
            vers.append(f"{n}: {(r.stdout + r.stderr).splitlines()[0].split(' - http')[0][:80]}")
    st, ot = [a for a, _ in NOISE], [b for _, b in NOISE]
    cc = open("/proc/sys/net/ipv4/tcp_congestion_control").read().strip()
    text += ["Versions: " + "; ".join(vers) + ".",
             f"Fixed rate {RATE} req/s; {ARGS.rounds} rounds, {ARGS.secs} s main runs; kernel {os.uname().release}; TCP {cc}; "
             f"stolen time in the kept samples: median {statistics.median(st):.1f} %, worst {max(st):.1f} %; "
             f"other work on the proxy's CPU: median {statistics.median(ot):.1f} %; took {time.monotonic() - started:.0f} s."] if NOISE else []
    text += [f"FAILED - {f}" for f in failed]
    print("\n".join(text))
    if ARGS.out:
        open(ARGS.out, "a").write("\n".join(text) + "\n")
        json.dump(data, open(os.path.splitext(ARGS.out)[0] + ".json", "w"), indent=0)
    sys.exit(1 if failed else 0)

if __name__ == "__main__":
    main()
