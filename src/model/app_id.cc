#include "model/app_id.h"

#include <algorithm>
#include <array>
#include <vector>

namespace lotse::model {
namespace {

constexpr std::size_t kAppIdBytesMax = 1024;  // Marathon has no bound; ours keeps labels, file names and logs sane
constexpr std::string_view kInstanceMark = ".instance-";
constexpr std::string_view kTaskMark = "._app";

// Marathon's words, which clients show to people.
constexpr std::string_view kGrammar =
    "must fully match regular expression "
    "'^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|\\.\\.)$'";

bool is_lower_or_digit(char byte) { return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9'); }

bool is_name(std::string_view text) {  // [a-z0-9] with inner '-'
  return !text.empty() && is_lower_or_digit(text.front()) && is_lower_or_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char byte) { return is_lower_or_digit(byte) || byte == '-'; });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_segment(std::string_view text) {
  auto labels = split(text, '.');
  return std::all_of(labels.begin(), labels.end(), is_name);
}

// Applies the segments of `path` to `stack`; ".." above the root stays at the root, as in Marathon.
void walk(std::string_view path, std::vector<std::string_view>& stack) {
  for (std::string_view segment : split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      stack.push_back(segment);
    } else if (!stack.empty()) {
      stack.pop_back();
    }
  }
}

std::string safe_path(std::string_view app) {
  std::string path(app.substr(std::min(app.find_first_not_of('/'), app.size())));
  std::replace(path.begin(), path.end(), '/', '_');
  return path;
}

// "<safe path>.<uuid>", the form of Marathon before 1.5; also what is left of the newer one without ".instance-".
std::size_t end_of_path_before_uuid(std::string_view task) {
  constexpr std::size_t kUuidBytes = 36;
  if (task.size() < kUuidBytes + 2) return std::string_view::npos;
  std::size_t dot = task.size() - kUuidBytes - 1;
  if (task[dot] != '.') return std::string_view::npos;
  for (std::size_t at : {8, 13, 18, 23}) {
    if (task[dot + 1 + at] != '-') return std::string_view::npos;
  }
  return dot;
}

}  // namespace

Result<AppId, Problem> resolve_app_id(std::string_view text, std::string_view base) {
  std::string where(text.substr(0, 100));
  if (text.empty()) return fail(Problem{"", "must not be empty"});
  if (text.size() > kAppIdBytesMax) {
    return fail(Problem{where, "is longer than " + std::to_string(kAppIdBytesMax) + " characters"});
  }
  std::vector<std::string_view> stack;
  if (!text.starts_with('/')) walk(base, stack);
  walk(text, stack);
  if (stack.empty()) return fail(Problem{where, "must not be root"});
  AppId id;
  for (std::string_view segment : stack) {
    if (!is_segment(segment)) return fail(Problem{where, std::string(kGrammar)});
    id += '/';
    id += segment;
  }
  if (id.size() > kAppIdBytesMax) {
    return fail(Problem{where, "is longer than " + std::to_string(kAppIdBytesMax) + " characters"});
  }
  return id;
}

bool is_reserved_last_segment(std::string_view id) {
  auto slash = id.rfind('/');
  std::string_view last = slash == std::string_view::npos ? id : id.substr(slash + 1);
  constexpr std::array<std::string_view, 5> kReserved{"restart", "tasks", "versions", ".", ".."};
  return std::find(kReserved.begin(), kReserved.end(), last) != kReserved.end();
}

std::string make_task_id(std::string_view app, std::string_view uuid, int attempt) {
  std::string id = safe_path(app);
  id += kInstanceMark;
  id += uuid;
  id += kTaskMark;
  return id + "." + std::to_string(attempt);
}

std::string instance_id_of(std::string_view task) { return std::string(task.substr(0, task.rfind(kTaskMark))); }

std::optional<AppId> app_of_task_id(std::string_view task) {
  auto mark = task.rfind(kInstanceMark);
  std::size_t end = mark;
  if (mark == std::string_view::npos) {
    end = end_of_path_before_uuid(task);
  } else if (task.size() == mark + kInstanceMark.size()) {
    return std::nullopt;
  }
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  AppId id = "/" + std::string(task.substr(0, end));
  std::replace(id.begin(), id.end(), '_', '/');
  auto resolved = resolve_app_id(id);
  if (!resolved || *resolved != id) return std::nullopt;  // "a__b" is no app's path
  return id;
}

Result<AppTarget, Problem> parse_app_target(std::string_view text) {
  auto colon = text.find(':');
  AppTarget target;
  if (colon != std::string_view::npos) {
    target.port = text.substr(colon + 1);
    if (!is_name(target.port)) {
      return fail(Problem{std::string(text), "after the colon comes a port's name or index, such as /shop/api:admin"});
    }
  }
  auto app = resolve_app_id(text.substr(0, colon));
  if (!app) return fail(app.error());
  target.app = std::move(*app);
  return target;
}

}  // namespace lotse::model
