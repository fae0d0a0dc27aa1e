#include "discovery/catalog.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace lotse::discovery {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string address_of(const model::Endpoint& endpoint) {
  return fmt::format("{}:{}", endpoint.host, endpoint.host_port);
}

}  // namespace

std::size_t Catalog::IdentityHash::operator()(const model::Endpoint& endpoint) const {
  std::size_t hash = std::hash<std::string>()(endpoint.task);  // nearly unique by itself
  return hash * 31 + static_cast<std::size_t>(endpoint.port) * 65'537 + endpoint.host_port;
}

// One source's last word, and which part of it is only there because its loss is not believed yet.
struct Catalog::Slot final : SourceSink {
  Slot(Catalog& owner, std::string slot_name)
      : catalog(owner), name(std::move(slot_name)), guard(owner.options_.guard) {}

  void on_update(SourceUpdate update, std::function<void()> on_applied) override {
    take_contact(true);
    for (model::Endpoint& endpoint : update.set) set(std::move(endpoint));
    take_gone(update.gone);
    catalog.after_event(std::move(on_applied));
  }

  void on_snapshot(std::vector<model::Endpoint> endpoints, model::GoneWhy missing,
                   std::function<void()> on_applied) override {
    take_contact(true);
    ++generation;
    for (model::Endpoint& endpoint : endpoints) set(std::move(endpoint));
    std::vector<EndpointPtr> asked, lost;
    for (auto& [task, entries] : tasks) {
      for (Entry& entry : entries) {
        if (entry.generation == generation || (entry.is_held && missing == model::GoneWhy::lost)) continue;
        sort_by_reason(entry.endpoint, missing, asked, lost);
      }
    }
    remove(asked, lost);
    catalog.after_event(std::move(on_applied));
  }

  void on_contact(bool current) override { take_contact(current); }

  struct Entry {
    EndpointPtr endpoint;
    std::uint64_t generation = 0;  // of the last snapshot that had it
    bool is_held = false;
    Instant held_since{};
  };

  // Losses that were held while we were out of touch start their time of confirmation again.
  void take_contact(bool current) {
    if (current && !is_current) {
      for (auto& [address, endpoint] : held) find(*endpoint)->held_since = catalog.clock_.now();
    }
    is_current = current;
  }

  Entry* find(const model::Endpoint& identity) {
    auto task = tasks.find(identity.task);
    if (task == tasks.end()) return nullptr;
    for (Entry& entry : task->second) {
      if (entry.endpoint->same_identity(identity)) return &entry;
    }
    return nullptr;
  }

  void set(model::Endpoint endpoint) {
    Entry* entry = find(endpoint);
    if (entry != nullptr) {
      entry->generation = generation;
      if (entry->is_held) release(*entry);
      if (*entry->endpoint == endpoint) return;
      entry->endpoint = std::make_shared<const model::Endpoint>(std::move(endpoint));
      ++version;
      return catalog.touch(entry->endpoint);
    }
    if (!held.empty()) remove_held_at(address_of(endpoint));
    auto fresh = std::make_shared<const model::Endpoint>(std::move(endpoint));
    tasks[fresh->task].push_back({fresh, generation, false, {}});
    ++count;
    ++version;
    catalog.touch(fresh);
  }

  void take_gone(const std::vector<model::GoneTask>& gone) {
    std::vector<EndpointPtr> asked, lost;
    for (const model::GoneTask& each : gone) {
      auto task = tasks.find(each.task);
      if (task == tasks.end()) continue;
      for (Entry& entry : task->second) {
        if (entry.is_held && each.why == model::GoneWhy::lost) continue;  // said before
        sort_by_reason(entry.endpoint, each.why, asked, lost);
      }
    }
    remove(asked, lost);
  }

  // A draining endpoint was about to go anyway: somebody asked for that.
  static void sort_by_reason(const EndpointPtr& endpoint, model::GoneWhy why, std::vector<EndpointPtr>& asked,
                             std::vector<EndpointPtr>& lost) {
    bool is_asked = why == model::GoneWhy::asked || endpoint->state == model::EndpointState::draining;
    (is_asked ? asked : lost).push_back(endpoint);
  }

  void remove(const std::vector<EndpointPtr>& asked, const std::vector<EndpointPtr>& lost) {
    for (const EndpointPtr& endpoint : asked) erase(endpoint);
    if (lost.empty()) return;
    if (guard.allows(lost.size(), count, catalog.clock_.now())) {
      for (const EndpointPtr& endpoint : lost) erase(endpoint);
      return;
    }
    log::warn("proxy",
              "source {} lost {} of {} endpoints at once: they are held back and go on serving until the loss is "
              "confirmed for {} s or accepted (POST /v1/accept)",
              name, lost.size(), count, seconds(catalog.options_.hold));
    for (const EndpointPtr& endpoint : lost) hold(endpoint);
    catalog.schedule_hold_check();
  }

  void hold(const EndpointPtr& endpoint) {
    Entry* entry = find(*endpoint);
    entry->is_held = true;
    entry->held_since = catalog.clock_.now();
    held.emplace(address_of(*endpoint), endpoint);
  }

  void release(Entry& entry) {  // the source has it again
    entry.is_held = false;
    forget_held(*entry.endpoint);
  }

  void forget_held(const model::Endpoint& identity) {
    auto [from, to] = held.equal_range(address_of(identity));
    for (auto each = from; each != to; ++each) {
      if (!each->second->same_identity(identity)) continue;
      held.erase(each);
      return;
    }
  }

  // P2: an address that has a new owner leaves the old one at once, believed or not.
  void remove_held_at(const std::string& address) {
    std::vector<EndpointPtr> old;
    auto [from, to] = held.equal_range(address);
    for (auto each = from; each != to; ++each) old.push_back(each->second);
    for (const EndpointPtr& endpoint : old) erase(endpoint);
  }

  void erase(EndpointPtr endpoint) {  // by value: the entry that owns it goes
    auto task = tasks.find(endpoint->task);
    if (task == tasks.end()) return;
    std::vector<Entry>& entries = task->second;
    auto entry = std::find_if(entries.begin(), entries.end(),
                              [&](const Entry& each) { return each.endpoint->same_identity(*endpoint); });
    if (entry == entries.end()) return;
    if (entry->is_held) forget_held(*endpoint);
    entries.erase(entry);
    if (entries.empty()) tasks.erase(task);
    --count;
    ++version;
    catalog.touch(endpoint);
  }

  Catalog& catalog;
  std::string name;
  LossGuard guard;
  std::unordered_map<model::TaskId, std::vector<Entry>> tasks;
  std::unordered_multimap<std::string, EndpointPtr> held;  // by address
  std::size_t count = 0;                                   // of endpoints
  std::uint64_t version = 0, generation = 0;
  bool is_current = false;
};

Catalog::Catalog(const Clock& clock, net::Timers& timers, Options options, Subscriber subscriber)
    : clock_(clock),
      options_(options),
      subscriber_(std::move(subscriber)),
      flush_timer_(timers, [this] { flush(); }),
      hold_timer_(timers, [this] { check_held(); }) {}

Catalog::~Catalog() = default;

SourceSink& Catalog::source(const std::string& name) {
  std::unique_ptr<Slot>& slot = slots_[name];
  if (!slot) slot = std::make_unique<Slot>(*this, name);
  return *slot;
}

void Catalog::remove_source(const std::string& name) {
  auto found = slots_.find(name);
  if (found == slots_.end()) return;
  found->second->on_snapshot({}, model::GoneWhy::asked, [] {});
  slots_.erase(found);
}

void Catalog::set_guard(LossGuard::Options guard) {
  options_.guard = guard;
  for (auto& [name, slot] : slots_) slot->guard.set_options(guard);
}

void Catalog::accept_losses() {
  for (auto& [name, slot] : slots_) {
    std::vector<EndpointPtr> held;
    for (const auto& [address, endpoint] : slot->held) held.push_back(endpoint);
    for (const EndpointPtr& endpoint : held) slot->erase(endpoint);
    if (!held.empty()) log::info("proxy", "the loss of {} endpoints of source {} was accepted", held.size(), name);
  }
  after_event([] {});
}

void Catalog::touch(const EndpointPtr& endpoint) {
  if (touched_set_.insert(endpoint).second) touched_.push_back(endpoint);
}

// Publishes at once after quiet, else with the batch that is due. What changes nothing waits only for what came before.
void Catalog::after_event(std::function<void()> on_applied) {
  Instant now = clock_.now();
  if (waiting_.empty()) first_event_ = now;
  waiting_.push_back(std::move(on_applied));
  if (flush_timer_.is_armed()) return;
  Instant due = last_flush_ + options_.batch;
  if (touched_.empty() || !has_flushed_ || due <= now)
    flush();
  else
    flush_timer_.start(due - now);
}

void Catalog::flush() {
  flush_timer_.stop();
  CatalogChange change;
  for (const EndpointPtr& each : std::exchange(touched_, {})) {
    EndpointPtr now = find_in_sources(*each);
    auto before = published_.find(*each);
    if (now == nullptr) {
      if (before == published_.end()) continue;
      change.removed.push_back(**before);
      published_.erase(before);
    } else if (before == published_.end() || !(**before == *now)) {
      if (before != published_.end()) published_.erase(before);
      published_.insert(now);
      change.set.push_back(*now);
    }
  }
  touched_set_.clear();
  Batch batch{++sequence_, false, first_event_, std::exchange(waiting_, {})};
  bool is_empty = change.set.empty() && change.removed.empty();
  batch.is_applied = is_empty;
  batches_.push_back(std::move(batch));
  if (is_empty) return complete_batches();
  last_flush_ = clock_.now();
  has_flushed_ = true;
  change.sequence = sequence_;
  subscriber_(std::move(change), [this, sequence = sequence_, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_batch_applied(sequence);
  });
}

void Catalog::on_batch_applied(std::uint64_t sequence) {
  for (Batch& batch : batches_) {
    if (batch.sequence != sequence || batch.is_applied) continue;
    batch.is_applied = true;
    lag_.last = clock_.now() - batch.first_event;
    lag_.max = std::max(lag_.max, lag_.last);
    lag_.sum += lag_.last;
    ++lag_.count;
  }
  complete_batches();
}

void Catalog::complete_batches() {
  std::weak_ptr alive = alive_;
  while (!batches_.empty() && batches_.front().is_applied) {
    Batch done = std::move(batches_.front());
    batches_.pop_front();
    for (const std::function<void()>& on_applied : done.on_applied) {
      if (on_applied) on_applied();
      if (alive.expired()) return;
    }
  }
}

// The first source by name that has it: each endpoint belongs to one.
EndpointPtr Catalog::find_in_sources(const model::Endpoint& identity) const {
  for (const auto& [name, slot] : slots_) {
    if (Slot::Entry* entry = slot->find(identity)) return entry->endpoint;
  }
  return nullptr;
}

void Catalog::schedule_hold_check() {
  Duration earliest = Duration::max();
  for (auto& [name, slot] : slots_) {
    for (auto& [address, endpoint] : slot->held) {
      Duration left = slot->find(*endpoint)->held_since + options_.hold - clock_.now();
      earliest = std::min(earliest, slot->is_current ? std::max(left, Duration::zero()) : options_.hold);
    }
  }
  if (earliest == Duration::max())
    hold_timer_.stop();
  else
    hold_timer_.start(earliest);
}

void Catalog::check_held() {
  for (auto& [name, slot] : slots_) {
    if (!slot->is_current) continue;  // a source out of touch confirms nothing
    std::vector<EndpointPtr> confirmed;
    for (auto& [address, endpoint] : slot->held) {
      if (slot->find(*endpoint)->held_since + options_.hold <= clock_.now()) confirmed.push_back(endpoint);
    }
    for (const EndpointPtr& endpoint : confirmed) slot->erase(endpoint);
    if (!confirmed.empty()) {
      log::info("proxy", "the loss of {} endpoints of source {} is confirmed: they go", confirmed.size(), name);
    }
  }
  after_event([] {});
  schedule_hold_check();
}

std::vector<EndpointPtr> Catalog::endpoints_of(const std::string& name) const {
  std::vector<EndpointPtr> all;
  auto slot = slots_.find(name);
  if (slot == slots_.end()) return all;
  all.reserve(slot->second->count);
  for (const auto& [task, entries] : slot->second->tasks) {
    for (const Slot::Entry& entry : entries) all.push_back(entry.endpoint);
  }
  return all;
}

std::uint64_t Catalog::version_of(const std::string& name) const {
  auto slot = slots_.find(name);
  return slot == slots_.end() ? 0 : slot->second->version;
}

std::size_t Catalog::held() const {
  std::size_t count = 0;
  for (const auto& [name, slot] : slots_) count += slot->held.size();
  return count;
}

void Catalog::write_metrics(std::string& out) const {
  auto per_source = [&](std::string_view metric, std::string_view text, auto value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", metric, text);
    for (const auto& [name, slot] : slots_) out += fmt::format("{}{{source=\"{}\"}} {}\n", metric, name, value(*slot));
  };
  per_source("lotse_discovery_endpoints", "Endpoints of a source's last word.",
             [](const Slot& slot) { return slot.count; });
  per_source("lotse_discovery_endpoints_held", "Endpoints whose loss is held back.",
             [](const Slot& slot) { return slot.held.size(); });
  out += fmt::format(
      "# HELP lotse_discovery_event_lag_seconds From the arrival of an event to its being applied by all workers.\n"
      "# TYPE lotse_discovery_event_lag_seconds summary\n"
      "lotse_discovery_event_lag_seconds_sum {}\nlotse_discovery_event_lag_seconds_count {}\n"
      "# HELP lotse_discovery_event_lag_last_seconds The same, of the last batch.\n"
      "# TYPE lotse_discovery_event_lag_last_seconds gauge\nlotse_discovery_event_lag_last_seconds {}\n"
      "# HELP lotse_discovery_event_lag_max_seconds The same, the longest since the start.\n"
      "# TYPE lotse_discovery_event_lag_max_seconds gauge\nlotse_discovery_event_lag_max_seconds {}\n",
      seconds(lag_.sum), lag_.count, seconds(lag_.last), seconds(lag_.max));
}

}  // namespace lotse::discovery
