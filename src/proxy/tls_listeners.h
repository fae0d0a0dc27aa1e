// What the listeners with `tls:` answer handshakes with: loads the files that the configuration names, makes a context
// for each listener, and a new one when a file changes. Files that cannot be used leave the context in place that is
// there, and are told of in log and metrics. Owns the keys of session tickets, which all workers share. Knows files and
// the configuration; nothing of workers or connections. Main thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/loop.h"
#include "net/process.h"
#include "net/timers.h"
#include "net/tls.h"
#include "net/tls_tickets.h"
#include "proxy/config.h"

namespace lotse::proxy {

struct LoadedTls {  // of one listener
  std::shared_ptr<const net::TlsServerContext> context;
  std::vector<std::shared_ptr<const net::TlsCertificate>> certificates;
};
using LoadedListeners = std::map<std::string, LoadedTls>;  // by the listener's address

class TlsListeners {
 public:
  // Files of the listener at `address` have changed, and this is what it answers with from now on.
  using OnChanged =
      std::function<void(const std::string& address, std::shared_ptr<const net::TlsServerContext> context)>;
  TlsListeners(net::Loop& loop, OnChanged on_changed);
  ~TlsListeners();

  // Changes nothing here. A file that cannot be used is a Problem. Blocks on the disk.
  Result<LoadedListeners, Problem> load(const Config& config) const;
  void adopt(const Config& config, LoadedListeners loaded);  // these are in use: watch their files
  void stop();                                               // no more changes

  // For the process that takes over, so that clients resume their sessions with either. False: these are no keys.
  const net::TlsTicketKeys& tickets() const { return *tickets_; }
  Duration until_rotation() const;
  bool restore_tickets(std::string_view bytes, Duration until_rotation);

  void write_metrics(std::string& out) const;

 private:
  struct Listener {
    ListenerConfig config;
    LoadedTls loaded;
    bool has_changed = false;  // one of its files has, and was not looked at yet
    bool is_good = true;       // what the files hold now is what is in use
  };

  Result<LoadedTls, Problem> load(const ListenerConfig& config) const;
  void watch_files();
  void on_file_changed(const std::string& file);
  void load_changed();
  void load_changed(const std::string& address, Listener& listener);
  void rotate();

  net::Loop& loop_;
  OnChanged on_changed_;
  std::shared_ptr<net::TlsTicketKeys> tickets_ = std::make_shared<net::TlsTicketKeys>();
  std::map<std::string, Listener> listeners_;                       // by address
  std::map<std::string, std::unique_ptr<net::FileWatch>> watches_;  // by file
  net::Timer settle_, rotation_;
  std::uint64_t reloads_ = 0, failures_ = 0;
};

}  // namespace lotse::proxy
