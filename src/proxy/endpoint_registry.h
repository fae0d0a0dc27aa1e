// The main thread's book of endpoints: every identity with its record, the apps with their targets (slots), and the
// difference that a change makes, as a RoutingUpdate for the workers. A change costs what it changes: the sets of the
// apps it names. No I/O, no threads; main thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/app_stats.h"
#include "proxy/config.h"
#include "proxy/endpoint_source.h"
#include "proxy/routing_state.h"
#include "proxy/upstream_tls.h"

namespace lotse::proxy {

class EndpointRegistry {
 public:
  explicit EndpointRegistry(std::size_t workers) : workers_(workers) {}

  RoutingUpdate apply(const EndpointChange& change);
  // The slots of the new table's targets, sets whose balancing changed, and what `expose` now means.
  RoutingUpdate apply(const Config& config);
  // How to speak to the endpoints of apps: told with the next configuration, or by take_tls_changes().
  void set_tls(UpstreamTlsByApp tls);
  RoutingUpdate take_tls_changes();
  // Slots that only the table before this one named are free again: every worker has the new one.
  void forget_old_table();
  // What is announced from here on is new; before, it may have served while we were away.
  void end_of_first_table() { is_first_table_ = false; }

  std::uint64_t in_flight(const model::TaskId& task) const;
  bool is_leaving(const model::TaskId& task) const;  // draining or gone: its count is waited for
  void drop_if_quiet(const EndpointRecord& record);  // a removed one has nothing in flight any more

  struct Known {
    model::Endpoint endpoint;  // as last announced
    std::shared_ptr<EndpointRecord> record;
  };
  const Known* find(const EndpointRecord& record) const;
  static EndpointSet::Member member_of(const Known& known);  // as its sets have it

  // For what the proxy itself finds out about endpoints (OutlierDetector).
  const AppConfig& app_config(const model::AppId& id) const { return config_.app(id); }
  AppStats& stats_for(const model::AppId& id);
  void mark(const model::AppId& id);  // something about its endpoints has changed that its sets tell
  RoutingUpdate take_marked();        // the sets of the marked apps
  template <typename Visit>
  void for_each_of(const model::AppId& id, Visit visit) const {
    auto app = apps_.find(id);
    if (app == apps_.end()) return;
    for (const auto& [key, known] : app->second.endpoints) visit(known);
  }

  bool has_endpoints() const { return counts_[0] + counts_[1] + counts_[2] > 0; }
  const std::map<model::AppId, std::unique_ptr<AppStats>>& stats() const { return stats_; }
  std::size_t endpoint_count(model::EndpointState state) const { return counts_[static_cast<std::size_t>(state)]; }
  template <typename Visit>
  void for_each(Visit visit) const {  // by app, then identity
    for (const auto& [id, app] : apps_) {
      for (const auto& [key, known] : app.endpoints) visit(known);
    }
  }

 private:
  static constexpr std::size_t kAppsWithStatsMax = 5000;  // further ones share the label "other"
  static constexpr std::size_t kEmptyAppsMax = 1024;      // exposed without endpoints, so that they answer 503, not 404

  struct SlotInfo {
    model::AppTarget target;
    std::uint32_t generation = 0;
    bool is_used = false;
    bool in_table = false;  // of the newest configuration
  };
  struct App {
    std::map<std::string, Known> endpoints;  // by identity
    std::map<std::string, SlotIndex> slots;  // by port; "" is the default one
    std::string exposed_host;
    bool is_exposed = false;
    bool is_dirty = false;
  };

  App& app_of(const model::AppId& id);
  void set(const model::Endpoint& endpoint, RoutingUpdate& update);
  void note(const Known& known, RoutingUpdate& update);
  void remove(App& app, std::map<std::string, Known>::iterator place, RoutingUpdate& update);
  void finish(RoutingUpdate& update);
  SlotIndex slot_for(const model::AppTarget& target);
  void rebuild(App& app, const model::AppId& id, RoutingUpdate& update);
  std::shared_ptr<const EndpointSet> build(const App& app, const SlotInfo& slot);
  void expose(const model::AppId& id, App& app, RoutingUpdate& update);
  void unexpose(const model::AppId& id, App& app, RoutingUpdate& update);
  void bound_empty_apps(RoutingUpdate& update);
  void free_slot(App& app, const std::string& port, RoutingUpdate& update);

  std::size_t workers_;
  bool is_first_table_ = true;
  std::map<model::AppId, App> apps_;
  std::vector<model::AppId> dirty_;
  std::vector<SlotInfo> slots_;
  std::vector<SlotIndex> free_slots_;
  std::vector<SlotIndex> leaving_slots_;  // free once every worker has the newest table
  std::map<model::AppId, std::unique_ptr<AppStats>> stats_;
  std::unordered_map<model::TaskId, std::vector<std::shared_ptr<EndpointRecord>>>
      by_task_;  // removed ones with requests too
  std::size_t counts_[3] = {};
  std::map<std::string, std::set<model::AppId>> exposed_hosts_;  // who wants it; the first has it
  std::vector<model::AppId> empty_apps_;                         // in the order they lost their last endpoint
  Config config_;                                                // only apps and expose
  UpstreamTlsByApp tls_;
  std::set<model::AppId> tls_changed_;
};

}  // namespace lotse::proxy
