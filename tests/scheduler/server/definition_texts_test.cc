#include "scheduler/server/definition_texts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

App app_of(const std::string& id, int instances) {
  App app;
  app.id = id;
  app.current = std::make_shared<const model::App>(make_app(id, instances));
  return app;
}

TEST(DefinitionTexts, FollowWhatIsCurrent) {
  DefinitionTexts texts;
  App app = app_of("/web", 1);
  const std::string* first = &texts.of(app);
  EXPECT_EQ(nlohmann::json::parse(*first), model::to_json(*app.current));
  EXPECT_EQ(&texts.of(app), first);
  app.current = app_of("/web", 7).current;
  EXPECT_EQ(nlohmann::json::parse(texts.of(app))["instances"], 7);
  EXPECT_EQ(texts.size(), 1u);
}

TEST(DefinitionTexts, AreKeptOfSoManyAppsAndNoMore) {
  DefinitionTexts texts;
  App app = app_of("/web", 1);
  for (std::size_t i = 0; i < DefinitionTexts::kAppsMax + 5; ++i) {
    app.id = "/web" + std::to_string(i);
    texts.of(app);
    ASSERT_LE(texts.size(), DefinitionTexts::kAppsMax);
  }
}

}  // namespace
}  // namespace lotse::scheduler
