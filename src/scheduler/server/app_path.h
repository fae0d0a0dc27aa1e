// What a path below /v2/apps means. App ids hold slashes and come plain or with %2F, with doubled and trailing slashes,
// so the suffixes (/tasks, /restart, /versions, /*) are found here and not by the router. Pure text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/app.h"

namespace lotse::scheduler {

enum class AppPathKind : std::uint8_t {
  all,          // /v2/apps
  app,          // /v2/apps/{id}
  below,        // /v2/apps/{group}/*
  tasks,        // /v2/apps/{id}/tasks
  below_tasks,  // /v2/apps/{group}/*/tasks
  task,         // /v2/apps/{id}/tasks/{task}
  restart,      // /v2/apps/{id}/restart
  versions,     // /v2/apps/{id}/versions
  version,      // /v2/apps/{id}/versions/{version}
};

struct AppPath {
  AppPathKind kind = AppPathKind::all;
  model::AppId id;   // absolute; its grammar is not checked: an id nobody could create is merely unknown
  std::string item;  // the task or version
  bool operator==(const AppPath&) const = default;
};

// `rest` is what follows "/v2/apps", percent-decoded (the router did that).
AppPath parse_app_path(std::string_view rest);

// What follows "/v2/queue/": "<id>/delay". nullopt when it does not end so.
std::optional<model::AppId> parse_queue_delay_path(std::string_view rest);

// The absolute id that a decoded path names: slashes merged, a leading one added. "/" when nothing is left.
model::AppId id_from_path(std::string_view path);

}  // namespace lotse::scheduler
