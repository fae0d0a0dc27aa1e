#!/usr/bin/env python3
"""HTTP/2 towards the endpoints: CPU per request of lotse, nginx (grpc_pass) and HAProxy (proto h2), side by side.

  LOTSE_BIN=build/release/lotse bench/proxy/h2_endpoints.py [--rounds 3] [--figures h1,h2,unary] [--only lotse,nginx]

One endpoint (nghttpd, HTTP/2 with prior knowledge). Figures: `h1`: clients of HTTP/1.1; `h2`: 16 connections of 32 streams;
`unary`: the same with POSTs of 64 bytes as gRPC has them. Proxy on CPU 0 with one worker, load and endpoint on CPU 1, rounds
alternate; a cell is the median of the proxy's CPU microseconds per request. As root in a network namespace of its own.
"""
import argparse, os, re, shutil, statistics, subprocess, sys, tempfile, time

import bench

PORT, BACKEND = 8100, 8090
NGINX = """daemon off; worker_processes 1; pid {DIR}/nginx.pid; error_log {DIR}/error.log crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; http2_max_requests 1000000000;
  client_body_temp_path {DIR}/cb; proxy_temp_path {DIR}/pt; fastcgi_temp_path {DIR}/fc; uwsgi_temp_path {DIR}/uw; scgi_temp_path {DIR}/sc;
  upstream b {{ server 127.0.0.1:{BACKEND}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{PORT}{H2}; location / {{ grpc_pass grpc://b; }} }} }}
"""
HAPROXY = """global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend f
  bind 127.0.0.1:{PORT} {PROTO}
  default_backend b
backend b
  server s 127.0.0.1:{BACKEND} proto h2
"""
LOTSE = """version: 1
workers: 1
admin: {{address: "127.0.0.1:0"}}
listeners: [{{name: web, address: "127.0.0.1:{PORT}"}}]
routes: [{{match: {{path: /}}, to: /bench}}]
apps: {{/bench: {{protocol: h2}}}}
discovery: {{sources: [{{static: {{/bench: ["127.0.0.1:{BACKEND}"]}}}}]}}
"""
PEERS = {"lotse": (LOTSE, lambda c, d: [os.environ.get("LOTSE_BIN", "lotse"), "proxy", "--config", c, "--data", d + "/lotse"]),
         "nginx": (NGINX, lambda c, d: ["nginx", "-p", d, "-c", c]),
         "haproxy": (HAPROXY, lambda c, d: ["haproxy", "-db", "-f", c])}


def h2load(path, n, *extra):
    out, err = bench.run(["h2load", "-p", "h2c", "-n", str(n), "-c", "16", "-m", "32", *extra, f"http://127.0.0.1:{PORT}{path}"])
    codes = re.search(r"status codes: (\d+) 2xx", out)
    if not codes or int(codes[1]) != n:
        raise bench.Wrong(out[-500:] + err[-200:])
    return n


def wrk(path, secs):
    out, err = bench.run(["wrk", "-t1", "-c64", f"-d{secs}", f"http://127.0.0.1:{PORT}{path}"])
    done = re.search(r"(\d+) requests in", out)
    if not done or "Non-2xx" in out or "Socket errors" in out:
        raise bench.Wrong(out + err)
    return int(done[1])


def sample(name, figure, work):
    text, command = PEERS[name]
    folder = tempfile.mkdtemp(dir=work)
    os.chmod(folder, 0o777)
    is_h2 = figure != "h1"
    config = f"{folder}/conf" + (".yaml" if name == "lotse" else "")
    open(config, "w").write(text.format(PORT=PORT, BACKEND=BACKEND, DIR=folder, H2=" http2" if is_h2 else "",
                                        PROTO="proto h2" if is_h2 else ""))
    proxy = bench.Proc(command(config, folder), bench.PROXY_CPU, stderr=open(f"{folder}/stderr", "w"), cwd=folder)
    loads = {"h1": lambda n: wrk("/1024", 3 if n else 1), "h2": lambda n: h2load("/1024", n or 2000),
             "unary": lambda n: h2load("/64", n or 2000, "-d", f"{work}/body", "-H", "content-type: application/grpc", "-H", "te: trailers")}
    try:
        for _ in range(100):
            try:
                loads[figure](0)
                break
            except bench.Wrong:
                time.sleep(0.1)
        proxy.refresh()
        before = proxy.cpu()
        done = loads[figure](60000)
        return (proxy.cpu() - before) / done * 1e6
    finally:
        proxy.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--figures", default="h1,h2,unary")
    options.add_argument("--only", default="lotse,nginx,haproxy")
    asked = options.parse_args()
    if os.geteuid() == 0 and not os.environ.get("PROXYBENCH_NETNS"):
        os.environ["PROXYBENCH_NETNS"] = "1"
        os.environ["LOTSE_BIN"] = os.path.abspath(os.environ.get("LOTSE_BIN", "lotse"))
        os.execvp("unshare", ["unshare", "-n", sys.executable] + sys.argv)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    bench.NOFILE = 16384
    work = tempfile.mkdtemp(prefix="h2-endpoints-")
    os.chmod(work, 0o755)
    for size in (64, 1024):
        open(f"{work}/{size}", "w").write("x" * size)
    open(f"{work}/body", "w").write("x" * 64)
    backend = bench.Proc(["nghttpd", "--no-tls", "-n1", "-d", work, str(BACKEND)], bench.LOAD_CPU, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        names = asked.only.split(",")
        print("| CPU µs/req | " + " | ".join(names) + " |\n| --- |" + " ---: |" * len(names))
        for figure in asked.figures.split(","):
            cells = {name: [] for name in names}
            for _ in range(asked.rounds):
                for name in names:
                    cells[name].append(sample(name, figure, work))
            print(f"| {figure} | " + " | ".join(
                f"{statistics.median(cells[n]):.1f} ({min(cells[n]):.1f}-{max(cells[n]):.1f})" for n in names) + " |", flush=True)
    finally:
        backend.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
