// The rules of MARATHON.md section 3 on a whole App, with Marathon's messages. Pure.
#pragma once

#include <optional>

#include "model/api_error.h"
#include "model/app.h"

namespace lotse::model {

// nullopt: valid. Else 422 "Object is not valid" with every broken rule in details. Fields that Lotse cannot honour
// (external or persistent volumes, secrets, gpus, container networks by name, ...) are refused with a sentence.
std::optional<ApiError> check_app(const App& app);

}  // namespace lotse::model
