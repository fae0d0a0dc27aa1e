// What is counted per listener, a part per worker as in app_stats.h. Made by the main thread and kept as long as the
// process, so that a name that comes back goes on counting; the number of names is bounded, the rest share one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/counter.h"

namespace lotse::proxy {

// Why a connection was closed before an endpoint had it.
enum class Refusal : std::uint8_t {
  no_endpoint,   // the app has none that takes connections, or the table may be old and its agents deny the tasks
  full,          // every endpoint, or the proxy, has all the connections it may have
  failed,        // no endpoint that was tried took the connection
  untrusted,     // the listener wants the PROXY protocol, and the peer is none of those that may speak it
  client_hello,  // what came was no TLS ClientHello, or too late or too long
  unknown_name,  // nobody has the name that the client asked for
  proxy_header,  // what came was no header of the PROXY protocol, or too late
};
inline constexpr std::size_t kRefusals = 7;
const char* to_string(Refusal refusal);

struct alignas(64) ListenerWorkerStats {
  Counter accepted;
  std::array<Counter, kRefusals> refusals;
  // Of TCP listeners.
  Counter open;
  Counter bytes_in, bytes_out;  // from clients, to clients
};

struct ListenerStats {
  ListenerStats(std::string its_name, std::size_t workers) : name(std::move(its_name)), per_worker(workers) {}
  std::string name;
  std::vector<ListenerWorkerStats> per_worker;  // never resized
  void refuse(std::size_t worker, Refusal why) { per_worker[worker].refusals[static_cast<std::size_t>(why)].add(); }
};

class ListenerBook {  // main thread
 public:
  ListenerStats& stats_for(const std::string& name, std::size_t workers);
  void write_metrics(std::string& out) const;

 private:
  static constexpr std::size_t kListenersMax = 1000;  // further names share the label "other"
  std::map<std::string, std::unique_ptr<ListenerStats>> stats_;
};

}  // namespace lotse::proxy
