// What the apps with `tls:` are spoken to with: loads the files that the configuration names, watches them, and makes a
// context for each such app. Files that cannot be used leave the context that is there in place, and are told of in log
// and metrics. What did not change stays the same object, so that its connections stay pooled. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "proxy/config.h"
#include "proxy/upstream_tls.h"
#include "proxy/watched_files.h"

namespace lotse::proxy {

class UpstreamTlsBook {
 public:
  using OnChanged = std::function<void(UpstreamTlsByApp)>;  // files have changed: all apps with TLS
  UpstreamTlsBook(net::Loop& loop, OnChanged on_changed);

  struct Entry {
    UpstreamTlsConfig config;
    std::string contents;  // of its files: what the context was made of
    std::shared_ptr<const UpstreamTls> tls;
  };
  using Entries = std::map<model::AppId, Entry>;
  // Changes nothing here. A file that cannot be used is a Problem. Blocks on the disk.
  Result<Entries, Problem> load(const Config& config) const;
  UpstreamTlsByApp adopt(Entries entries);  // these are in use
  void stop() { files_.watch({}); }         // no more changes

  void write_metrics(std::string& out) const;

 private:
  Result<Entry, Problem> load(const model::AppId& id, const UpstreamTlsConfig& config) const;
  void load_changed();
  UpstreamTlsByApp current() const;

  OnChanged on_changed_;
  Entries entries_;
  WatchedFiles files_;
  std::map<model::AppId, std::string> problems_;  // of files that changed and cannot be used
};

}  // namespace lotse::proxy
