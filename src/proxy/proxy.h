// The proxy as its owner (cli) sees it: N workers with a loop each, fed with configuration and endpoints from the main
// thread. Everything here is called on the main thread; the workers' life is inside.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/routes.h"
#include "net/address.h"
#include "net/loop.h"
#include "proxy/config.h"
#include "proxy/endpoint_source.h"
#include "proxy/listener_sockets.h"

namespace lotse::proxy {

class Proxy {
 public:
  Proxy(net::Loop& main_loop, TaskConfirmer& confirmer);
  ~Proxy();  // after stop(): joins the workers

  // First call: binds listeners and starts workers. Later calls are reloads: unchanged listeners keep their sockets,
  // new ones bind first (one failure refuses the whole reload and changes nothing), removed ones drain.
  Result<Unit, Problem> apply_config(std::shared_ptr<const Config> config);

  // `on_applied` comes on the main thread once every worker has it. Changes are applied in order.
  void apply_endpoints(EndpointChange change, std::function<void()> on_applied);

  // Requests of a task that are picked, queued or on a connection (tunnels too), over all workers and all its
  // endpoints.
  std::uint64_t in_flight(const model::TaskId& task) const;
  void set_on_drained(std::function<void(const model::TaskId&)> on_drained);  // a draining task's count came to 0
  std::vector<model::TaskId> pending_tasks() const;  // applied, own health check configured and not yet passed
  void set_on_pending_changed(std::function<void()> on_changed);

  // Until when the source of truth is known to be current (lease or stream). Workers compare it with their own clock
  // before each new upstream connection, so a paused process finds out by itself. Endpoints without agent do not care.
  void set_fresh_until(Instant instant);

  // Graceful stop: accepts what is queued, stops accepting, answers with Connection: close, waits for exchanges until
  // the deadline, then calls back. A second call stops at once.
  void drain(Duration deadline, std::function<void()> on_done);

  // A takeover, the new side: before the first apply_config(). With `holds`, workers do not accept until
  // begin_accepting(), and the files of unix sockets belong to the old process until then.
  void inherit(InheritedSockets sockets, bool holds);
  std::vector<std::string> drop_unused_sockets();  // that no listener wanted; where they are bound
  void begin_accepting();
  void restore_ticket_keys(std::string_view bytes, Duration until_rotation);  // of ticket_keys() there
  std::vector<std::string> inherited_listeners() const;                       // addresses as configured
  // The old side: copies of all sockets by address as configured; handing over drains, as drain() does, without
  // closing those at `kept`. Until end_trial() we stay, ready to take back what our successor does not serve any more.
  std::vector<std::pair<std::string, std::vector<net::UniqueFd>>> copies_of_sockets() const;
  void hand_over(const std::vector<std::string>& kept, Duration deadline, std::function<void()> on_done);
  std::string ticket_keys() const;
  Duration until_ticket_rotation() const;
  void take_back();
  void end_trial();
  void set_takeovers(std::uint64_t count);  // what the metrics say
  std::uint64_t takeovers() const;
  void count_takeover_failure();

  std::vector<net::Address> listen_addresses() const;  // bound ones (port 0 resolved), in config order
  bool is_ready() const;                               // config applied on all workers
  std::string why_unready() const;    // "" or what stands in the way: not applied everywhere, a stalled worker
  std::string why_unhealthy() const;  // "" or which worker has stood still for so long that only a restart will help
  void write_metrics(std::string& prometheus_text) const;
  std::string stats_json() const;                   // JSON: counts and percentiles per app, and how the workers are
  std::string explain(std::string_view url) const;  // JSON: which rule, why, who would get it
  std::string routes_json() const;                  // JSON of the table in use with state and counts per endpoint
  double requests_per_second() const;               // over the last 10 s or so, for the load report
  void reopen_access_log();                         // after it was moved away; keeps writing to the old one on failure
  void run_on_worker_for_test(std::size_t worker, std::function<void()> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::proxy
