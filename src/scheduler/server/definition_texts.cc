#include "scheduler/server/definition_texts.h"

#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "model/json_text.h"

namespace lotse::scheduler {

const std::string& DefinitionTexts::of(const App& app) {
  auto known = texts_.find(app.id);
  if (known != texts_.end() && known->second.definition == app.current) return known->second.text;
  std::string text = model::to_text(model::to_json(*app.current));
  if (known == texts_.end() && texts_.size() >= kAppsMax) {
    // Deleted apps have left theirs behind; so what is kept is begun anew rather than searched.
    texts_.clear();
  }
  Text& kept = texts_[app.id];
  kept.definition = app.current;
  kept.text = std::move(text);
  return kept.text;
}

}  // namespace lotse::scheduler
