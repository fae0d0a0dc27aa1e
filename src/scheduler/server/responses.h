// Answers of the scheduler's APIs: JSON, errors in Marathon's shapes, and what a step's Answer becomes. Knows no
// endpoint. Loop thread.
#pragma once

#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "http/server.h"
#include "model/api_error.h"
#include "scheduler/core/commands.h"

namespace lotse::scheduler {

void respond_json(http::Responder& responder, int status, const nlohmann::json& body, http::Fields fields = {});
void respond_text(http::Responder& responder, int status, std::string body, std::string content_type);
void respond_error(http::Responder& responder, const model::ApiError& error);
void respond_method_not_allowed(http::Responder& responder, std::string_view allow);

// The whole of what most changes answer: DeploymentResult with Marathon-Deployment-Id, or the error. Anything else is
// an error of ours: 500.
void respond_deployment(http::Responder& responder, const Answer& answer, int status = 200, http::Fields fields = {});

// 404 with Marathon's words.
model::ApiError unknown_app(std::string_view id);
model::ApiError unknown_app_version(std::string_view id, std::string_view version);
model::ApiError unknown_group(std::string_view id);
model::ApiError unknown_task(std::string_view id);
model::ApiError rule_broken(std::string_view path, std::string_view what);  // 422 "Object is not valid"

// Does the request accept this media type? A missing field accepts all.
bool accepts(const http::ServerRequest& request, std::string_view media_type);
bool accepts_explicitly(const http::ServerRequest& request, std::string_view media_type);  // not by way of */*

}  // namespace lotse::scheduler
