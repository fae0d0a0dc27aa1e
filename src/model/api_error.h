// An answer of Marathon's API that is not a success, in Marathon's shapes (MARATHON.md, "Errors").
#pragma once

#include <string>
#include <vector>

namespace lotse::model {

struct ErrorDetail {
  std::string path;  // "/upgradeStrategy/minimumHealthCapacity"; elements of lists "/apps(0)/id"; the whole object "/"
  std::vector<std::string> errors;
};

struct ApiError {
  int status = 422;
  std::string message;                   // "Object is not valid", "Invalid JSON", "App '/x' does not exist"
  std::vector<ErrorDetail> details;      // may be empty
  std::string detail_text;               // body is not JSON: details is this string
  std::vector<std::string> deployments;  // 409 lock: ids
};

std::string to_json(const ApiError& error);  // the body

}  // namespace lotse::model
