// App definitions from and to JSON: shapes and types, Marathon's defaults, migration of the old forms (ports, uris,
// container.docker.network and docker.portMappings, ipAddress). Rules across fields are in app_rules.h.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/api_error.h"
#include "model/app.h"

namespace lotse::model {

// `body` is the bytes of a request. Not JSON: 400 {"message":"Invalid JSON","details":"<parser text>"}.
Result<nlohmann::json, ApiError> parse_json(std::string_view body);

// A whole definition. `id_from_path` (may be empty) is the absolute id of PUT /v2/apps/{id}: it stands in when the
// body has none; a body that names another id is refused. Wrong types and missing fields are 422 "Invalid JSON" with a
// detail for each; all are reported at once. Unknown fields are ignored. 3.0 is accepted where an integer is wanted.
Result<App, ApiError> parse_app(const nlohmann::json& definition, std::string_view id_from_path = {});

// PUT with partialUpdate: `patch` over what `current` has; fields not named keep their value, null resets to default.
Result<App, ApiError> patch_app(const App& current, const nlohmann::json& patch);

// As answered by the API: all defaults, new network form only. `ports`, `uris` and `container.docker.*` legacy echoes
// that 1.x clients read (ports, uris, requirePorts) are included. No counts, no tasks: the API adds them.
nlohmann::json to_json(const App& app);

nlohmann::json to_json(const HealthCheck& check);

// For the store and the agent protocol: parse_app(to_json(app)) == app including version and versionInfo.
std::string serialize_app(const App& app);
Result<App, Problem> deserialize_app(std::string_view text);
// The same of JSON that was parsed already, as part of a message.
Result<App, Problem> deserialize_app_definition(const nlohmann::json& definition);

}  // namespace lotse::model
