// Definitions as the API answers them, kept as text while they are current: lists are read far more often than apps
// change. A cache of what the State says, of at most kAppsMax apps: beyond, it begins anew. Owned by the API; loop
// thread.
#pragma once

#include <map>
#include <string>

#include "scheduler/core/state.h"

namespace lotse::scheduler {

class DefinitionTexts {
 public:
  static constexpr std::size_t kAppsMax = 10'000;
  // Valid until the next call.
  const std::string& of(const App& app);
  std::size_t size() const { return texts_.size(); }

 private:
  struct Text {
    Definition definition;  // held, so that no other one can have its address
    std::string text;
  };
  std::map<model::AppId, Text> texts_;
};

}  // namespace lotse::scheduler
