#include "proxy/watched_files.h"

#include <utility>

#include "base/clock.h"

namespace lotse::proxy {

namespace {
constexpr Duration kSettle = std::chrono::milliseconds(300);
}

WatchedFiles::WatchedFiles(net::Loop& loop, OnChanged on_changed)
    : loop_(loop), on_changed_(std::move(on_changed)), settle_(loop.timers(), [this] { on_settled(); }) {}

void WatchedFiles::watch(const std::set<std::string>& files) {
  std::erase_if(watches_, [&](const auto& one) { return !files.contains(one.first); });
  std::erase_if(changed_, [&](const std::string& file) { return !files.contains(file); });
  for (const std::string& file : files) {
    auto [place, is_new] = watches_.try_emplace(file);
    if (!is_new) continue;
    place->second = net::FileWatch::open(loop_, file, [this, file] {
      changed_.insert(file);
      settle_.start(kSettle);
    });
  }
  if (watches_.empty()) settle_.stop();
}

void WatchedFiles::on_settled() {
  auto changed = std::exchange(changed_, {});
  if (!changed.empty()) on_changed_(changed);
}

}  // namespace lotse::proxy
