#include "scheduler/server/responses.h"

#include <nlohmann/json.hpp>

#include "model/json_text.h"
#include "scheduler/server/app_view.h"

namespace lotse::scheduler {

void respond_json(http::Responder& responder, int status, const nlohmann::json& body, http::Fields fields) {
  http::ServerResponse response;
  response.status = status;
  response.fields = std::move(fields);
  response.body = model::to_text(body);
  responder.respond(std::move(response));
}

void respond_text(http::Responder& responder, int status, std::string body, std::string content_type) {
  http::ServerResponse response;
  response.status = status;
  response.body = std::move(body);
  response.content_type = std::move(content_type);
  responder.respond(std::move(response));
}

void respond_error(http::Responder& responder, const model::ApiError& error) {
  http::ServerResponse response;
  response.status = error.status;
  response.body = model::to_json(error);
  responder.respond(std::move(response));
}

void respond_method_not_allowed(http::Responder& responder, std::string_view allow) {
  http::ServerResponse response;
  response.status = 405;
  response.fields.emplace_back("Allow", allow);
  response.body = model::to_json(model::ApiError{405, "Method Not Allowed", {}, "", {}});
  responder.respond(std::move(response));
}

void respond_deployment(http::Responder& responder, const Answer& answer, int status, http::Fields fields) {
  if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(responder, *error);
  const auto* result = std::get_if<DeploymentResult>(&answer);
  if (result == nullptr) return respond_error(responder, {500, "The change has no deployment", {}, "", {}});
  fields.emplace_back("Marathon-Deployment-Id", result->deployment);
  respond_json(responder, status, deployment_answer(result->version, result->deployment), std::move(fields));
}

model::ApiError unknown_app(std::string_view id) {
  return {404, "App '" + std::string(id) + "' does not exist", {}, "", {}};
}

model::ApiError unknown_app_version(std::string_view id, std::string_view version) {
  return {404, "App '" + std::string(id) + "' does not exist in version " + std::string(version), {}, "", {}};
}

model::ApiError unknown_group(std::string_view id) {
  return {404, "Group '" + std::string(id) + "' does not exist", {}, "", {}};
}

model::ApiError unknown_task(std::string_view id) {
  return {404, "Task '" + std::string(id) + "' does not exist", {}, "", {}};
}

model::ApiError rule_broken(std::string_view path, std::string_view what) {
  return {422, "Object is not valid", {{std::string(path), {std::string(what)}}}, "", {}};
}

bool accepts(const http::ServerRequest& request, std::string_view media_type) {
  const std::string* accept = request.field("accept");
  if (accept == nullptr || accept->find("*/*") != std::string::npos) return true;
  std::string group(media_type.substr(0, media_type.find('/') + 1));
  return accepts_explicitly(request, media_type) || accept->find(group + "*") != std::string::npos;
}

bool accepts_explicitly(const http::ServerRequest& request, std::string_view media_type) {
  const std::string* accept = request.field("accept");
  return accept != nullptr && accept->find(media_type) != std::string::npos;
}

}  // namespace lotse::scheduler
