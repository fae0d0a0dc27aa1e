#include "model/api_error.h"

#include "model/json_writer.h"

namespace lotse::model {

std::string to_json(const ApiError& error) {
  JsonWriter json;
  json.begin_object();
  json.member("message", error.message);
  if (!error.detail_text.empty()) {
    json.member("details", error.detail_text);
  } else if (!error.details.empty()) {
    json.key("details");
    json.begin_array();
    for (const ErrorDetail& detail : error.details) {
      json.begin_object();
      json.member("path", detail.path);
      json.member("errors", detail.errors);
      json.end_object();
    }
    json.end_array();
  }
  if (!error.deployments.empty()) {
    json.key("deployments");
    json.begin_array();
    for (const std::string& id : error.deployments) {
      json.begin_object();
      json.member("id", id);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  return json.take();
}

}  // namespace lotse::model
