// App ids ("/shop/api") and the task ids Marathon derives from them. Pure text; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/app.h"

namespace lotse::model {

// Resolves `text` against `base` ("/" or a group), merges doubled slashes, drops a trailing one, handles "..", and
// checks the grammar: segments of dot-separated [a-z0-9] labels with inner '-'. The Problem's `what` is Marathon's
// wording where it has one. "/" itself is not an app id.
Result<AppId, Problem> resolve_app_id(std::string_view text, std::string_view base = "/");

// May this app id's last segment be used? ("restart", "tasks", "versions", ".", ".." may not.)
bool is_reserved_last_segment(std::string_view id);

// "/shop/api" + uuid -> "shop_api.instance-<uuid>._app.1"; the instance id is the part before "._app".
std::string make_task_id(std::string_view app, std::string_view uuid, int attempt = 1);
std::string instance_id_of(std::string_view task);
std::optional<AppId> app_of_task_id(std::string_view task);  // nullopt: not the form

// "/shop/api:agent" -> {"/shop/api", "agent"}; without ":" the port is empty (the default port). For route targets.
struct AppTarget {
  AppId app;
  std::string port;  // name or index; empty: default
  bool operator==(const AppTarget&) const = default;
};
Result<AppTarget, Problem> parse_app_target(std::string_view text);

}  // namespace lotse::model
