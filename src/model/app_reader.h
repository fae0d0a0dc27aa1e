// Reads a posted definition into an App: shapes, types, defaults, old forms. Internal to app_json.cc, which makes
// answers of the problems found. What Lotse has no member for is put into `rest`, in the shape the definition had.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "model/app.h"
#include "model/definition_field.h"

namespace lotse::model {

struct AppReadOptions {
  std::string_view id_from_path;  // absolute; empty: the body's id counts
  // The definition is a patch laid over an app. What came from the app, not from the patch, gives way silently when the
  // patch changes the network, where a definition that says both itself is refused.
  bool inherits_port_definitions = false, inherits_port_mappings = false;
};

App read_app(const DefinitionField& definition, const AppReadOptions& options);

// The parts, by noun.
void read_networking(const DefinitionField& definition, const AppReadOptions& options, App& app, nlohmann::json& rest);
void read_checks(const DefinitionField& definition, App& app);

// Is there more than null, {} or []? Only then is a field worth keeping that Lotse has no member for.
bool says_something(const DefinitionField& field);

// Names in JSON of enumerations, for reading and writing.
inline constexpr std::pair<std::string_view, ConstraintOperator> kConstraintOperators[] = {
    {"UNIQUE", ConstraintOperator::unique},
    {"CLUSTER", ConstraintOperator::cluster},
    {"GROUP_BY", ConstraintOperator::group_by},
    {"LIKE", ConstraintOperator::like},
    {"UNLIKE", ConstraintOperator::unlike},
    {"MAX_PER", ConstraintOperator::max_per},
    {"IS", ConstraintOperator::is},
};
inline constexpr std::pair<std::string_view, NetworkMode> kNetworkModes[] = {
    {"host", NetworkMode::host}, {"container/bridge", NetworkMode::bridge}, {"container", NetworkMode::container}};
inline constexpr std::pair<std::string_view, HealthProtocol> kHealthProtocols[] = {
    {"HTTP", HealthProtocol::http},
    {"HTTPS", HealthProtocol::https},
    {"TCP", HealthProtocol::tcp},
    {"COMMAND", HealthProtocol::command},
    {"MESOS_HTTP", HealthProtocol::mesos_http},
    {"MESOS_HTTPS", HealthProtocol::mesos_https},
    {"MESOS_TCP", HealthProtocol::mesos_tcp},
};

template <typename Enum, std::size_t Count>
std::string_view name_of(const std::pair<std::string_view, Enum> (&names)[Count], Enum value) {
  for (const auto& [name, meaning] : names) {
    if (meaning == value) return name;
  }
  return names[0].first;
}

}  // namespace lotse::model
