// Any bytes as an app definition: parsing must not crash, and what it accepts must come back the same from the store's
// form, from the API's answer and through a patch that says nothing.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "model/app_rules.h"

namespace {

using lotse::model::App;

void require(bool holds) {
  if (!holds) std::abort();
}

void require_round_trips(const App& app) {
  auto stored = lotse::model::deserialize_app(lotse::model::serialize_app(app));
  require(stored && *stored == app);
  auto unpatched = lotse::model::patch_app(app, nlohmann::json::object());
  bool is_valid = !lotse::model::check_app(app);
  require(!is_valid || (unpatched && *unpatched == app));
  auto answered = lotse::model::parse_app(lotse::model::to_json(app));
  require(!is_valid || (answered && *answered == app));
  (void)lotse::model::ports_of(app);
  (void)lotse::model::default_port_of(app);
  (void)lotse::model::kill_grace_of(app);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto json = lotse::model::parse_json({reinterpret_cast<const char*>(data), size});
  if (!json) {
    require(json.error().status == 400 && !json.error().detail_text.empty());
    return 0;
  }
  auto app = lotse::model::parse_app(*json);
  if (app) {
    require_round_trips(*app);
  } else {
    require(app.error().status == 422 && !app.error().message.empty());
    require(nlohmann::json::accept(lotse::model::to_json(app.error())));
  }
  App base;
  base.id = "/base";
  (void)lotse::model::patch_app(base, *json);
  (void)lotse::model::deserialize_app_definition(*json);
  return 0;
}
