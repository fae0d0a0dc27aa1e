// The whole room for its owner (cli): sources as configured, the catalog they feed, their tables on disk, and until
// when what they say is known to be true. Main thread of the proxy; the loop, client and proxy state outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "discovery/catalog.h"
#include "discovery/scheduler_source.h"
#include "discovery/static_source.h"
#include "http/client.h"
#include "net/timers.h"

namespace lotse::discovery {

struct SourceSpec {       // one of the two
  std::string scheduler;  // a URL
  StaticApps fixed;
};

class Discovery {
 public:
  struct Options {
    std::string proxy_id, boot;
    std::string data_dir;  // empty: no tables on disk
    Duration save_delay = std::chrono::seconds(1);
    SchedulerSource::Options scheduler;  // times and bounds; the rest is filled in
    Catalog::Options catalog;
  };
  struct Callbacks {
    Catalog::Subscriber on_change;
    std::function<void(Instant)> on_fresh_until;  // Instant{}: not current; Instant::max(): there is nobody to ask
  };
  Discovery(http::Client& client, const ProxyState& proxy, Options options, Callbacks callbacks);
  ~Discovery();  // saves tables that changed

  // The first time and at each reload. Sources that stay are not touched; what an edit removes goes at once; a
  // scheduler that moved to another URL keeps its last word until the new one has spoken.
  void configure(const std::vector<SourceSpec>& sources, int max_removal_percent);

  // Tables on disk are one process's at a time. Off, nothing is written; save_now() calls back when all is there.
  void set_saving(bool saves);
  void save_now(std::function<void()> on_saved);

  void report_now();     // a draining task's count came to 0, or what is pending changed
  void accept_losses();  // POST /v1/accept
  std::size_t held() const { return catalog_.held(); }
  std::string not_ready_reason() const;  // empty: every source has a word, of now, or from disk when it does not answer
  void write_metrics(std::string& out) const;

 private:
  struct Scheduler {
    std::string url;
    bool has_disk_table = false;
    std::uint64_t saved_version = 0, saved_term = 0;
    std::unique_ptr<SchedulerSource> source;
  };

  void set_scheduler(const std::string& name, const std::string& url);
  // The table on disk goes to the sink as a stale last word; what is known of its past goes to `options`.
  void load_last_word(const std::string& name, Scheduler& scheduler, SourceSink& sink,
                      SchedulerSource::Options& options);
  std::string table_path(const std::string& name) const;
  void save_changed();
  void on_tables_saved();
  void update_fresh();

  http::Client& client_;
  const ProxyState& proxy_;
  Options options_;
  Callbacks callbacks_;
  Catalog catalog_;
  std::map<std::string, Scheduler> schedulers_;  // by catalog source name: "scheduler", "scheduler-2"
  net::Timer save_timer_;
  std::thread saver_;
  bool is_saving_ = false, saves_ = true;
  std::function<void()> on_saved_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace lotse::discovery
