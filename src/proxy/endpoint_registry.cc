#include "proxy/endpoint_registry.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/log.h"

namespace lotse::proxy {

namespace {

std::string identity_of(const model::Endpoint& endpoint) {
  return std::to_string(endpoint.port) + '\n' + endpoint.task + '\n' + endpoint.host + '\n' +
         std::to_string(endpoint.host_port);
}

// What the configuration says, then what the app's definition says of itself.
bool speaks_h2(const AppConfig& config, const model::Endpoint& endpoint) {
  if (config.protocol) return *config.protocol == AppProtocol::h2;
  auto label = endpoint.labels.find("lotse.protocol");
  return label != endpoint.labels.end() && (label->second == "h2" || label->second == "h2c" || label->second == "grpc");
}

// Does the endpoint belong to this port of its app, "" being the default one?
bool is_at_port(const model::Endpoint& endpoint, std::string_view port) {
  if (port.empty()) return endpoint.is_default;
  if (!endpoint.port_name.empty() && endpoint.port_name == port) return true;
  int index = -1;
  auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), index);
  return code == std::errc{} && end == port.data() + port.size() && endpoint.port == index;
}

}  // namespace

// Changes of endpoints --------------------------------------------------------------------------------------------

RoutingUpdate EndpointRegistry::apply(const EndpointChange& change) {
  RoutingUpdate update;
  if (change.is_snapshot) {
    std::set<std::pair<std::string_view, std::string>> stays;
    for (const model::Endpoint& endpoint : change.set) stays.emplace(endpoint.app, identity_of(endpoint));
    for (auto& [id, app] : apps_) {
      for (auto place = app.endpoints.begin(); place != app.endpoints.end();) {
        auto here = place++;
        if (!stays.contains({id, here->first})) remove(app, here, update);
      }
    }
  }
  for (const model::Endpoint& endpoint : change.removed) {
    auto app = apps_.find(endpoint.app);
    if (app == apps_.end()) continue;
    if (auto place = app->second.endpoints.find(identity_of(endpoint)); place != app->second.endpoints.end()) {
      remove(app->second, place, update);
    }
  }
  for (const model::Endpoint& endpoint : change.set) set(endpoint, update);
  finish(update);
  return update;
}

void EndpointRegistry::set(const model::Endpoint& endpoint, RoutingUpdate& update) {
  if (endpoint.is_udp) return;  // never enters HTTP sets
  App& app = app_of(endpoint.app);
  auto [place, is_new] = app.endpoints.try_emplace(identity_of(endpoint));
  Known& known = place->second;
  if (is_new) {
    known.record = std::make_shared<EndpointRecord>(endpoint, workers_);
    auto& of_task = by_task_[endpoint.task];
    const std::optional<HealthCheck>& check = config_.app(endpoint.app).health;
    // A task that was here before, under another address, has proved itself; so has, for all we know, one that served
    // before we came.
    if (check && check->starts_down && of_task.empty() && !is_first_table_)
      known.record->active.verdict = ActiveHealth::Verdict::pending;
    of_task.push_back(known.record);
  } else {
    if (known.endpoint == endpoint) return;  // an identical update is a no-op
    --counts_[static_cast<std::size_t>(known.endpoint.state)];
  }
  ++counts_[static_cast<std::size_t>(endpoint.state)];
  known.endpoint = endpoint;
  note(known, update);
  mark(endpoint.app);
}

void EndpointRegistry::note(const Known& known, RoutingUpdate& update) {
  const AppConfig& app = config_.app(known.endpoint.app);
  auto tls = tls_.find(known.endpoint.app);
  update.records.push_back({.record = known.record,
                            .state = known.endpoint.state,
                            .preconnect = static_cast<std::uint32_t>(app.preconnect),
                            .proxy_protocol = app.proxy_protocol,
                            .speaks_h2 = speaks_h2(app, known.endpoint),
                            .tls = tls == tls_.end() ? nullptr : tls->second});
}

void EndpointRegistry::remove(App& app, std::map<std::string, Known>::iterator place, RoutingUpdate& update) {
  Known& known = place->second;
  --counts_[static_cast<std::size_t>(known.endpoint.state)];
  update.records.push_back({known.record, known.endpoint.state, true});
  mark(known.endpoint.app);
  app.endpoints.erase(place);
}

EndpointRegistry::App& EndpointRegistry::app_of(const model::AppId& id) { return apps_[id]; }

void EndpointRegistry::mark(const model::AppId& id) {
  App& app = apps_[id];
  if (!std::exchange(app.is_dirty, true)) dirty_.push_back(id);
}

RoutingUpdate EndpointRegistry::take_marked() {
  RoutingUpdate update;
  finish(update);
  return update;
}

void EndpointRegistry::finish(RoutingUpdate& update) {
  for (const model::AppId& id : dirty_) {
    App& app = apps_[id];
    app.is_dirty = false;
    if (!app.is_exposed) expose(id, app, update);
    rebuild(app, id, update);
    auto place = std::find(empty_apps_.begin(), empty_apps_.end(), id);
    if (app.endpoints.empty()) {
      if (place == empty_apps_.end()) empty_apps_.push_back(id);
    } else if (place != empty_apps_.end()) {
      empty_apps_.erase(place);
    }
  }
  dirty_.clear();
  bound_empty_apps(update);
}

// Sets --------------------------------------------------------------------------------------------------------------

void EndpointRegistry::rebuild(App& app, const model::AppId&, RoutingUpdate& update) {
  for (const auto& [port, index] : app.slots) {
    const SlotInfo& slot = slots_[index];
    update.slots.push_back({{index, slot.generation}, build(app, slot)});
  }
}

// An endpoint is up when both discovery and our own checks say so.
EndpointSet::Member EndpointRegistry::member_of(const Known& known) {
  const model::Endpoint& endpoint = known.endpoint;
  const bool is_down = known.record->active.verdict == ActiveHealth::Verdict::down;
  return {.record = known.record,
          .state = is_down && endpoint.state == model::EndpointState::up ? model::EndpointState::down : endpoint.state,
          .weight = static_cast<std::uint32_t>(std::clamp(endpoint.weight, 0, 1000)),
          .has_agent = !endpoint.agent.empty(),
          .is_pending = known.record->active.verdict == ActiveHealth::Verdict::pending,
          .is_ejected = known.record->passive.is_ejected};
}

std::shared_ptr<const EndpointSet> EndpointRegistry::build(const App& app, const SlotInfo& slot) {
  std::vector<EndpointSet::Member> members;
  for (const auto& [key, known] : app.endpoints) {
    if (!is_at_port(known.endpoint, slot.target.port)) continue;
    members.push_back(member_of(known));
  }
  const AppConfig& policy = config_.app(slot.target.app);
  return std::make_shared<const EndpointSet>(slot.target, policy.balance, stats_for(slot.target.app),
                                             std::move(members), policy.outlier_detection.panic_threshold_percent);
}

AppStats& EndpointRegistry::stats_for(const model::AppId& id) {
  auto place = stats_.find(id);
  if (place != stats_.end()) return *place->second;
  const std::string name = stats_.size() < kAppsWithStatsMax ? id : "other";
  auto& stats = stats_[name];
  if (!stats) stats = std::make_unique<AppStats>(name, workers_);
  return *stats;
}

SlotIndex EndpointRegistry::slot_for(const model::AppTarget& target) {
  App& app = app_of(target.app);
  if (auto place = app.slots.find(target.port); place != app.slots.end()) return place->second;
  SlotIndex index = 0;
  if (free_slots_.empty()) {
    index = static_cast<SlotIndex>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  SlotInfo& slot = slots_[index];
  slot.target = target;
  slot.is_used = true;
  ++slot.generation;
  app.slots.emplace(target.port, index);
  return index;
}

// Expose ------------------------------------------------------------------------------------------------------------

void EndpointRegistry::expose(const model::AppId& id, App& app, RoutingUpdate& update) {
  app.is_exposed = true;
  app.exposed_host = config_.expose.host.empty() ? std::string() : exposed_host(config_.expose.host, id);
  std::string host = app.exposed_host;
  if (!host.empty()) {
    // Dots in ids can make two apps want one host: the first by name has it, whatever the order they came in.
    auto& wanted_by = exposed_hosts_[host];
    wanted_by.insert(id);
    if (wanted_by.size() > 1)
      log::warn("proxy", "apps {} and {} want host {}: it goes to the first", *wanted_by.begin(), *wanted_by.rbegin(),
                host);
    if (*wanted_by.begin() != id) host.clear();
  }
  update.exposed.push_back({.app = id, .host = std::move(host), .slot = slot_for({id, {}})});
}

void EndpointRegistry::unexpose(const model::AppId& id, App& app, RoutingUpdate& update) {
  app.is_exposed = false;
  update.exposed.push_back({.app = id, .host = app.exposed_host, .slot = app.slots[""], .is_removed = true});
  auto wanted_by = exposed_hosts_.find(app.exposed_host);
  if (wanted_by == exposed_hosts_.end()) return;
  wanted_by->second.erase(id);
  if (wanted_by->second.empty()) {
    exposed_hosts_.erase(wanted_by);
  } else {
    const model::AppId& heir = *wanted_by->second.begin();
    update.exposed.push_back({.app = heir, .host = app.exposed_host, .slot = apps_[heir].slots[""]});
  }
}

// An app that has lost its endpoints stays known: a 404 for an app that restarts would be a lie, and its paths must not
// fall to an app with a shorter id. The longest gone ones are forgotten beyond a bound.
void EndpointRegistry::bound_empty_apps(RoutingUpdate& update) {
  while (empty_apps_.size() > kEmptyAppsMax) {
    model::AppId id = std::move(empty_apps_.front());
    empty_apps_.erase(empty_apps_.begin());
    App& app = apps_[id];
    unexpose(id, app, update);
    if (!slots_[app.slots[""]].in_table) free_slot(app, "", update);
    if (app.slots.empty()) apps_.erase(id);
  }
}

void EndpointRegistry::free_slot(App& app, const std::string& port, RoutingUpdate& update) {
  auto place = app.slots.find(port);
  SlotInfo& slot = slots_[place->second];
  update.slots.push_back({{place->second, slot.generation}, nullptr});
  slot.is_used = false;
  free_slots_.push_back(place->second);
  app.slots.erase(place);
}

// Configuration -----------------------------------------------------------------------------------------------------

RoutingUpdate EndpointRegistry::apply(const Config& config) {
  RoutingUpdate update;
  const bool expose_hosts_are_new = config.expose.host != config_.expose.host;
  const auto old_apps = std::exchange(config_.apps, config.apps);
  config_.expose = config.expose;
  for (SlotInfo& slot : slots_) slot.in_table = false;
  update.table = std::make_shared<const RouteTable>(config, [&](const model::AppTarget& target) {
    const std::size_t known = apps_.count(target.app) > 0 ? apps_[target.app].slots.size() : 0;
    SlotIndex index = slot_for(target);
    slots_[index].in_table = true;
    if (apps_[target.app].slots.size() != known) mark(target.app);
    return index;
  });
  std::set<model::AppId> rebalanced = std::exchange(tls_changed_, {});
  std::erase_if(rebalanced, [this](const model::AppId& id) { return !apps_.contains(id); });
  for (const auto& [id, app] : apps_) {
    auto before = old_apps.find(id);
    const AppConfig was = before == old_apps.end() ? AppConfig{} : before->second;
    if (was != config_.app(id)) rebalanced.insert(id);
  }
  for (const model::AppId& id : rebalanced) {
    mark(id);
    for (const auto& [key, known] : apps_[id].endpoints) note(known, update);
  }
  for (const model::AppId& id : dirty_) {
    apps_[id].is_dirty = false;
    rebuild(apps_[id], id, update);
  }
  dirty_.clear();
  if (expose_hosts_are_new) {
    update.expose_hosts_are_new = true;
    exposed_hosts_.clear();
    for (auto& [id, app] : apps_) {
      if (app.is_exposed) expose(id, app, update);
    }
  }
  for (auto& [id, app] : apps_) {
    for (const auto& [port, index] : app.slots) {
      if (!slots_[index].in_table && !(port.empty() && app.is_exposed)) leaving_slots_.push_back(index);
    }
  }
  return update;
}

void EndpointRegistry::set_tls(UpstreamTlsByApp tls) {
  const auto note_difference = [this](const UpstreamTlsByApp& from, const UpstreamTlsByApp& in) {
    for (const auto& [id, one] : from) {
      auto same = in.find(id);
      if (same == in.end() || same->second != one) tls_changed_.insert(id);
    }
  };
  note_difference(tls_, tls);
  note_difference(tls, tls_);
  tls_ = std::move(tls);
}

RoutingUpdate EndpointRegistry::take_tls_changes() {
  RoutingUpdate update;
  for (const model::AppId& id : std::exchange(tls_changed_, {}))
    for_each_of(id, [&](const Known& known) { note(known, update); });
  return update;
}

void EndpointRegistry::forget_old_table() {
  for (SlotIndex index : std::exchange(leaving_slots_, {})) {
    SlotInfo& slot = slots_[index];
    auto app = apps_.find(slot.target.app);
    if (!slot.is_used || slot.in_table || app == apps_.end()) continue;
    if (slot.target.port.empty() && app->second.is_exposed) continue;
    RoutingUpdate ignored;  // the workers keep an old set in a slot nobody names until it is used again
    free_slot(app->second, slot.target.port, ignored);
    if (app->second.slots.empty() && app->second.endpoints.empty()) apps_.erase(app);
  }
}

// Tasks -------------------------------------------------------------------------------------------------------------

std::uint64_t EndpointRegistry::in_flight(const model::TaskId& task) const {
  auto place = by_task_.find(task);
  if (place == by_task_.end()) return 0;
  std::uint64_t sum = 0;
  for (const auto& record : place->second) sum += record->in_flight();
  return sum;
}

const EndpointRegistry::Known* EndpointRegistry::find(const EndpointRecord& record) const {
  auto app = apps_.find(record.endpoint.app);
  if (app == apps_.end()) return nullptr;
  auto place = app->second.endpoints.find(identity_of(record.endpoint));
  return place != app->second.endpoints.end() && place->second.record.get() == &record ? &place->second : nullptr;
}

bool EndpointRegistry::is_leaving(const model::TaskId& task) const {
  auto place = by_task_.find(task);
  if (place == by_task_.end()) return true;
  return std::all_of(place->second.begin(), place->second.end(), [this](const auto& record) {
    const Known* known = find(*record);
    return known == nullptr || known->endpoint.state == model::EndpointState::draining;
  });
}

void EndpointRegistry::drop_if_quiet(const EndpointRecord& record) {
  if (find(record) != nullptr || record.in_flight() > 0) return;
  auto place = by_task_.find(record.endpoint.task);
  if (place == by_task_.end()) return;
  std::erase_if(place->second, [&](const auto& one) { return one.get() == &record; });
  if (place->second.empty()) by_task_.erase(place);
}

}  // namespace lotse::proxy
