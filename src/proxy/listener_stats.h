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
  no_endpoint,  // the app has none that takes connections, or the table may be old and its agents deny the tasks
  full,         // every endpoint, or the proxy, has all the connections it may have
  failed,       // no endpoint that was tried took the connection
};
inline constexpr std::size_t kRefusals = 3;
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
