#include "scheduler/server/app_path.h"

#include <algorithm>
#include <span>
#include <vector>

namespace lotse::scheduler {
namespace {

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  std::size_t start = 0;
  while (start <= path.size()) {
    std::size_t end = std::min(path.find('/', start), path.size());
    if (end > start) segments.emplace_back(path.substr(start, end - start));
    start = end + 1;
  }
  return segments;
}

model::AppId join(std::span<const std::string> segments) {
  std::string id;
  for (const std::string& segment : segments) id += "/" + segment;
  return id.empty() ? "/" : id;
}

}  // namespace

AppPath parse_app_path(std::string_view rest) {
  std::vector<std::string> segments = segments_of(rest);
  std::span<const std::string> all(segments);
  std::size_t count = all.size();
  if (count == 0) return AppPath{};
  // A one-segment path is always an id: nothing is left for an app before the suffix.
  if (all.back() == "*") return AppPath{AppPathKind::below, join(all.first(count - 1)), {}};
  if (count >= 2 && all.back() == "tasks") {
    if (all[count - 2] == "*") return AppPath{AppPathKind::below_tasks, join(all.first(count - 2)), {}};
    return AppPath{AppPathKind::tasks, join(all.first(count - 1)), {}};
  }
  if (count >= 2 && all.back() == "restart") return AppPath{AppPathKind::restart, join(all.first(count - 1)), {}};
  if (count >= 2 && all.back() == "versions") return AppPath{AppPathKind::versions, join(all.first(count - 1)), {}};
  if (count >= 3 && all[count - 2] == "tasks")
    return AppPath{AppPathKind::task, join(all.first(count - 2)), all.back()};
  if (count >= 3 && all[count - 2] == "versions") {
    return AppPath{AppPathKind::version, join(all.first(count - 2)), all.back()};
  }
  return AppPath{AppPathKind::app, join(all), {}};
}

std::optional<model::AppId> parse_queue_delay_path(std::string_view rest) {
  std::vector<std::string> segments = segments_of(rest);
  if (segments.size() < 2 || segments.back() != "delay") return std::nullopt;
  segments.pop_back();
  return join(segments);
}

model::AppId id_from_path(std::string_view path) { return join(segments_of(path)); }

}  // namespace lotse::scheduler
