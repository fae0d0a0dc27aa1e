#include "discovery/discovery.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "discovery/table_file.h"
#include "net/loop.h"

namespace lotse::discovery {
namespace {

constexpr const char* kStatic = "static";

std::string scheduler_name(std::size_t index) {
  return index == 0 ? "scheduler" : fmt::format("scheduler-{}", index + 1);
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Discovery::Discovery(http::Client& client, const ProxyState& proxy, Options options, Callbacks callbacks)
    : client_(client),
      proxy_(proxy),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      catalog_(client.loop().clock(), client.loop().timers(), options_.catalog,
               [this](CatalogChange change, std::function<void()> on_applied) {
                 if (!save_timer_.is_armed()) save_timer_.start(options_.save_delay);
                 callbacks_.on_change(std::move(change), std::move(on_applied));
               }),
      save_timer_(client.loop().timers(), [this] { save_changed(); }) {}

Discovery::~Discovery() {
  if (saver_.joinable()) saver_.join();
  is_saving_ = false;
  save_changed();
  if (saver_.joinable()) saver_.join();
}

void Discovery::configure(const std::vector<SourceSpec>& sources, int max_removal_percent) {
  LossGuard::Options guard = options_.catalog.guard;
  guard.max_removal_percent = max_removal_percent;
  catalog_.set_guard(guard);
  StaticApps fixed;
  std::vector<std::string> urls;
  for (const SourceSpec& spec : sources) {
    fixed.insert(spec.fixed.begin(), spec.fixed.end());
    if (!spec.scheduler.empty()) urls.push_back(spec.scheduler);
  }
  catalog_.source(kStatic).on_snapshot(static_endpoints(fixed), model::GoneWhy::asked, [] {});
  for (std::size_t i = 0; i < urls.size(); ++i) set_scheduler(scheduler_name(i), urls[i]);
  for (std::size_t i = schedulers_.size(); i > urls.size(); --i) {
    std::string name = scheduler_name(i - 1);
    schedulers_.erase(name);  // the source first: it holds the sink
    catalog_.remove_source(name);
    if (!options_.data_dir.empty() && saves_) ::unlink(table_path(name).c_str());
  }
  update_fresh();
}

void Discovery::set_scheduler(const std::string& name, const std::string& url) {
  auto parsed = http::parse_url(url);
  if (!parsed) return log::error("proxy", "{}: {}", url, parsed.error().what);  // validated before: not expected
  bool is_new = !schedulers_.contains(name);
  Scheduler& scheduler = schedulers_[name];
  if (scheduler.url == url) return;
  SchedulerSource::Options options = options_.scheduler;
  options.name = name;
  options.scheduler = parsed->endpoint;
  options.proxy_id = options_.proxy_id;
  options.boot = options_.boot;
  if (!is_new) options.first_missing = model::GoneWhy::asked;  // an edit: whoever made it wants the new one's table
  scheduler.url = url;
  scheduler.source.reset();
  SourceSink& sink = catalog_.source(name);
  if (is_new && !options_.data_dir.empty()) load_last_word(name, scheduler, sink, options);
  scheduler.source =
      std::make_unique<SchedulerSource>(client_, std::move(options), sink, proxy_, [this] { update_fresh(); });
  scheduler.source->start();
}

void Discovery::load_last_word(const std::string& name, Scheduler& scheduler, SourceSink& sink,
                               SchedulerSource::Options& options) {
  std::string path = table_path(name);
  if (::access(path.c_str(), F_OK) != 0) return;
  auto table = load_table(path);
  if (!table) return log::warn("proxy", "the table on disk is not used: {}", table.error().text());
  // Another scheduler's table still serves until the new one has spoken, but then goes without being held back.
  if (table->source == scheduler.url)
    options.term = table->term;
  else
    options.first_missing = model::GoneWhy::asked;
  std::vector<model::Endpoint> endpoints;
  endpoints.reserve(table->endpoints.size());
  for (const EndpointPtr& endpoint : table->endpoints) endpoints.push_back(*endpoint);
  log::info("proxy", "{}: {} endpoints from {}, until the scheduler answers", name, endpoints.size(), path);
  sink.on_snapshot(std::move(endpoints), model::GoneWhy::lost, [] {});
  sink.on_contact(false);
  scheduler.has_disk_table = true;
  scheduler.saved_version = catalog_.version_of(name);
  scheduler.saved_term = table->term;
}

std::string Discovery::table_path(const std::string& name) const {
  return fmt::format("{}/table-{}.jsonl", options_.data_dir, name);
}

// On a thread of its own: a slow disk must not delay a lease. One at a time.
void Discovery::save_changed() {
  if (options_.data_dir.empty() || !saves_) return;
  if (is_saving_) return save_timer_.start(options_.save_delay);
  std::vector<std::pair<std::string, SavedTable>> changed;
  for (auto& [name, scheduler] : schedulers_) {
    if (!scheduler.source) continue;
    std::uint64_t version = catalog_.version_of(name), term = scheduler.source->term();
    if (version == scheduler.saved_version && term == scheduler.saved_term) continue;
    scheduler.saved_version = version;
    scheduler.saved_term = term;
    changed.emplace_back(table_path(name), SavedTable{scheduler.url, term, catalog_.endpoints_of(name)});
  }
  if (changed.empty()) return;
  if (saver_.joinable()) saver_.join();  // it has ended: is_saving_ is false
  is_saving_ = true;
  saver_ = std::thread([this, tables = std::move(changed), loop = &client_.loop(), alive = std::weak_ptr(alive_)] {
    for (const auto& [path, table] : tables) {
      if (auto saved = save_table(path, table); !saved) {
        log::warn("proxy", "the table could not be saved: {}", saved.error().text());
      }
    }
    loop->post([this, alive] {
      if (!alive.expired()) on_tables_saved();
    });
  });
}

void Discovery::on_tables_saved() {
  is_saving_ = false;
  if (on_saved_) save_now(std::exchange(on_saved_, nullptr));
}

void Discovery::set_saving(bool saves) {
  saves_ = saves;
  if (saves && !save_timer_.is_armed()) save_timer_.start(options_.save_delay);
}

void Discovery::save_now(std::function<void()> on_saved) {
  if (!is_saving_) save_changed();
  if (!is_saving_) return on_saved();  // nothing had changed
  on_saved_ = std::move(on_saved);
}

void Discovery::update_fresh() {
  if (!save_timer_.is_armed()) save_timer_.start(options_.save_delay);  // a new term is worth saving too
  Instant fresh = Instant::max();
  for (const auto& [name, scheduler] : schedulers_) {
    fresh = std::min(fresh, scheduler.source ? scheduler.source->fresh_until() : Instant{});
  }
  if (callbacks_.on_fresh_until) callbacks_.on_fresh_until(fresh);
}

void Discovery::report_now() {
  for (auto& [name, scheduler] : schedulers_) {
    if (scheduler.source) scheduler.source->report_now();
  }
}

void Discovery::accept_losses() { catalog_.accept_losses(); }

std::string Discovery::not_ready_reason() const {
  for (const auto& [name, scheduler] : schedulers_) {
    if (scheduler.source && scheduler.source->has_snapshot()) continue;
    if (!scheduler.has_disk_table)
      return fmt::format("{} at {} has not sent its table yet, and there is none on disk", name, scheduler.url);
    // An old table is the last resort: what it lacks would be answered 404 although the scheduler could tell in a
    // moment.
    if (!scheduler.source || !scheduler.source->has_failed_once())
      return fmt::format("{} at {} has not answered yet; its table on disk counts once it fails to", name,
                         scheduler.url);
  }
  return {};
}

void Discovery::write_metrics(std::string& out) const {
  catalog_.write_metrics(out);
  auto metric = [&](std::string_view name, std::string_view type, std::string_view text, auto value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, text, type);
    for (const auto& [source, scheduler] : schedulers_) {
      if (scheduler.source) out += fmt::format("{}{{source=\"{}\"}} {}\n", name, source, value(*scheduler.source));
    }
  };
  using S = const SchedulerSource&;
  metric("lotse_discovery_connected", "gauge", "1 while the route stream is open.",
         [](S s) { return s.is_connected() ? 1 : 0; });
  metric("lotse_discovery_age_seconds", "gauge", "Since the source's word was known to be its last; 0 while connected.",
         [](S s) { return seconds(s.age()); });
  metric("lotse_discovery_term", "gauge", "The highest scheduler term seen.", [](S s) { return s.term(); });
  metric("lotse_discovery_revision", "gauge", "The revision that all workers have applied.",
         [](S s) { return s.applied().number; });
  metric("lotse_discovery_fresh", "gauge", "1 while the table is known to be current.",
         [this](S s) { return s.fresh_until() > client_.loop().clock().now() ? 1 : 0; });
  metric("lotse_discovery_updates_total", "counter", "Updates applied.", [](S s) { return s.counters().updates; });
  metric("lotse_discovery_snapshots_total", "counter", "Snapshots applied.",
         [](S s) { return s.counters().snapshots; });
  metric("lotse_discovery_resyncs_total", "counter", "Snapshots asked for because something did not follow.",
         [](S s) { return s.counters().resyncs; });
  metric("lotse_discovery_fenced_total", "counter", "Messages refused for a term lower than one seen.",
         [](S s) { return s.counters().fenced; });
  metric("lotse_discovery_disconnects_total", "counter", "Route streams that ended.",
         [](S s) { return s.counters().lost; });
  metric("lotse_discovery_reports_total", "counter", "Lease reports sent.", [](S s) { return s.lease().reports(); });
  metric("lotse_discovery_report_failures_total", "counter", "Lease reports that renewed nothing.",
         [](S s) { return s.lease().failures(); });
}

}  // namespace lotse::discovery
