// The admin HTTP API of the proxy (port 9901): metrics, readiness, routes, explain, effective configuration, drain and
// accept. Knows nobody: its owner (cli) plugs in what each page says. Main thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/server.h"
#include "net/address.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/socket_file.h"

namespace lotse::proxy {

class AdminServer {
 public:
  struct Callbacks {  // all must be set
    std::function<void(std::string& prometheus_text)> write_metrics;
    std::function<std::string()> routes_json;
    std::function<std::string(std::string_view url)> explain;  // JSON
    std::function<std::string()> config_json;
    std::function<std::string()> not_ready_reason;  // empty: ready
    std::function<std::string()> unhealthy_reason;  // empty: healthy; else only a restart helps
    std::function<std::string()> stats_json;
    std::function<void()> drain;          // begin a graceful stop; may be called again
    std::function<std::size_t()> accept;  // let held endpoints go; how many there were
  };
  AdminServer(net::Loop& loop, Callbacks callbacks);
  ~AdminServer();

  // Two steps, so that a reload that fails elsewhere changes nothing. The same address again keeps the socket.
  // The first time `inherited` may be the socket: of the process before us, or systemd's.
  Result<Unit, Problem> prepare(const std::string& address, net::UniqueFd inherited = {});
  void commit();   // what was prepared serves; the old address closes once the present turn of the loop is over
  void abandon();  // what was prepared closes

  // A takeover, either side. While held, what was prepared or serves is not accepted from.
  void hold();
  void begin_accepting();
  net::UniqueFd copy_of_socket() const;
  const std::string& wanted_address() const { return current_.wanted; }
  bool is_inherited() const { return current_.is_inherited; }

  net::Address address() const { return current_.bound; }  // port 0 resolved; empty before the first commit

 private:
  struct Bound {
    std::string wanted;
    net::Address bound;
    net::UniqueFd socket;  // a copy of the server's
    bool is_inherited = false;
    net::SocketFile file;
    std::unique_ptr<http::Server> server;
  };
  void add_pages();

  net::Loop& loop_;
  Callbacks callbacks_;
  http::Router router_;
  Bound current_, prepared_;
  bool is_held_ = false;
};

}  // namespace lotse::proxy
