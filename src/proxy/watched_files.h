// A set of files that somebody wants to read again when they change. Those that belong together (a certificate and its
// key) are written one after the other: changes are told when none has come for a moment. Main thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "net/loop.h"
#include "net/process.h"
#include "net/timers.h"

namespace lotse::proxy {

class WatchedFiles {
 public:
  using OnChanged = std::function<void(const std::set<std::string>& changed)>;
  WatchedFiles(net::Loop& loop, OnChanged on_changed);
  void watch(const std::set<std::string>& files);  // these and no others

 private:
  void on_settled();

  net::Loop& loop_;
  OnChanged on_changed_;
  std::map<std::string, std::unique_ptr<net::FileWatch>> watches_;
  std::set<std::string> changed_;
  net::Timer settle_;
};

}  // namespace lotse::proxy
