#include "model/app_json.h"

#include <nlohmann/json.hpp>

#include "model/app_reader.h"
#include "model/app_rules.h"
#include "model/json_text.h"

namespace lotse::model {
namespace {

using nlohmann::json;

constexpr int kUnprocessable = 422;

ApiError error_of(DefinitionProblems problems, const App& app) {
  ApiError error{.status = kUnprocessable};
  if (!problems.types.empty()) {
    error.message = "Invalid JSON";
    error.details = std::move(problems.types);
    return error;
  }
  if (!problems.rules.empty()) {
    // The rest of the rules as well: one answer tells all.
    auto broken = check_app(app);
    for (const ErrorDetail& detail : broken ? broken->details : std::vector<ErrorDetail>{}) {
      if (detail.path == "/id") continue;  // what is wrong with it is known already
      for (const std::string& each : detail.errors) add_detail(problems.rules, detail.path, each);
    }
    error.message = "Object is not valid";
    error.details = std::move(problems.rules);
    return error;
  }
  error.message = problems.clash;
  return error;
}

Result<App, ApiError> read(const json& definition, const AppReadOptions& options) {
  DefinitionProblems problems;
  App app = read_app(DefinitionField(definition, problems), options);
  if (!problems.empty()) return fail(error_of(std::move(problems), app));
  return app;
}

bool says(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && !at->is_null();
}

bool says_docker_network(const json& patch) {
  auto container = patch.find("container");
  if (container == patch.end() || !container->is_object()) return false;
  auto docker = container->find("docker");
  return docker != container->end() && docker->is_object() && says(*docker, "network");
}

// "The 'version' field may only be combined with the 'id' field": it means a rollback, and that is the API's work.
bool mixes_version_with_more(const json& patch) {
  if (!says(patch, "version")) return false;
  for (const auto& [name, value] : patch.items()) {
    if (name != "version" && name != "id" && !value.is_null()) return true;
  }
  return false;
}

// The app's own definition with the patch's members laid over it. Members that an old form replaces are taken out.
json overlay(const App& current, const json& patch) {
  json definition = to_json(current);
  definition.erase("ports");
  definition.erase("uris");
  if (!uses_host_network(current)) definition.erase("portDefinitions");  // [] there says nothing about host networking
  if (says(patch, "ports")) definition.erase("portDefinitions");
  if (says(patch, "uris")) definition.erase("fetch");
  if (says(patch, "ipAddress") || says_docker_network(patch)) definition.erase("networks");
  for (const auto& [name, value] : patch.items()) {
    if (name == "id" || name == "version" || name == "versionInfo") continue;
    if (value.is_null()) {
      definition.erase(name);
    } else {
      definition[name] = value;
    }
  }
  definition["id"] = says(patch, "id") ? patch["id"] : json(current.id);
  return definition;
}

Result<App, Problem> as_problem(Result<App, ApiError> app) {
  if (app) return std::move(*app);
  const ApiError& error = app.error();
  if (error.details.empty()) return fail(Problem{"app", error.message});
  return fail(Problem{"app" + error.details[0].path, error.details[0].errors.at(0)});
}

}  // namespace

Result<json, ApiError> parse_json(std::string_view body) {
  auto value = parse_json_text(body);
  if (value) return std::move(*value);
  return fail(ApiError{.status = 400, .message = "Invalid JSON", .detail_text = value.error().what});
}

Result<App, ApiError> parse_app(const json& definition, std::string_view id_from_path) {
  return read(definition, AppReadOptions{.id_from_path = id_from_path});
}

Result<App, ApiError> patch_app(const App& current, const json& patch) {
  if (!patch.is_object()) return read(patch, AppReadOptions{});
  if (mixes_version_with_more(patch)) {
    return fail(ApiError{.status = kUnprocessable,
                         .message = "Object is not valid",
                         .details = {{"/", {"The 'version' field may only be combined with the 'id' field."}}}});
  }
  AppReadOptions options{.id_from_path = current.id,
                         .inherits_port_definitions = !says(patch, "portDefinitions"),
                         .inherits_port_mappings = !says(patch, "container")};
  return read(overlay(current, patch), options);
}

Result<App, Problem> deserialize_app(std::string_view text) {
  auto definition = parse_json_text(text);
  if (!definition) return fail(Problem{"app", definition.error().what});
  return deserialize_app_definition(*definition);
}

Result<App, Problem> deserialize_app_definition(const json& definition) {
  return as_problem(read(definition, AppReadOptions{}));
}

}  // namespace lotse::model
