#include "agent/registry_credentials.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lotse::agent {
namespace {

TEST(RegistryOf, IsWhatTheDockerProgramTakesItFor) {
  EXPECT_EQ(registry_of("redis"), "docker.io");
  EXPECT_EQ(registry_of("library/redis:7"), "docker.io");
  EXPECT_EQ(registry_of("registry.example.com/redis"), "registry.example.com");
  EXPECT_EQ(registry_of("registry:5000/team/redis@sha256:00"), "registry:5000");
  EXPECT_EQ(registry_of("localhost/redis"), "localhost");
  EXPECT_EQ(registry_of("redis:7"), "docker.io");
  EXPECT_EQ(registry_of(""), "docker.io");
}

std::string login_of(std::string_view config, const std::string& registry) {
  auto login = find_login(config, registry);
  if (!login) return "problem: " + login.error().text();
  if (!login->helper.empty()) return "helper " + login->helper;
  if (!login->credentials) return "none";
  return login->credentials->username + "/" + login->credentials->password + "/" + login->credentials->identity_token;
}

TEST(FindLogin, ReadsEveryFormOfAConfig) {
  struct Case {
    std::string_view config, registry, expected;
  };
  for (const Case& each : {
           Case{R"({"auths":{"r.example.com":{"auth":"YWxpY2U6czNjcmV0"}}})", "r.example.com", "alice/s3cret/"},
           Case{R"({"auths":{"https://r.example.com/v1/":{"auth":"YWxpY2U6czNjcmV0"}}})", "r.example.com",
                "alice/s3cret/"},
           Case{R"({"r.example.com":{"auth":"YWxpY2U6czNjcmV0","email":"x"}})", "r.example.com", "alice/s3cret/"},
           Case{R"({"auths":{"r.example.com":{"username":"bob","password":"x:y"}}})", "r.example.com", "bob/x:y/"},
           Case{R"({"auths":{"r.example.com":{"auth":"Ym9iOng6eQ=="}}})", "r.example.com", "bob/x:y/"},
           Case{R"({"auths":{"r.example.com":{"identitytoken":"t"}}})", "r.example.com", "//t"},
           Case{R"({"auths":{"https://index.docker.io/v1/":{"auth":"YWxpY2U6czNjcmV0"}}})", "docker.io",
                "alice/s3cret/"},
           Case{R"({"auths":{"r.example.com":{"auth":"YWxpY2U6czNjcmV0"}}})", "other.example.com", "none"},
           Case{R"({"auths":{"r.example.com":{}}})", "r.example.com", "none"},
           Case{R"({"auths":{"r.example.com":{"auth":"!"}}})", "r.example.com", "none"},
           Case{R"({"auths":{"r.example.com":{"auth":7}},"x":[]})", "r.example.com", "none"},
           Case{R"({"auths":[]})", "r.example.com", "none"},
           Case{R"({"credHelpers":{"r.example.com":"ecr-login"}})", "r.example.com", "helper ecr-login"},
           Case{R"({"credHelpers":{"r.example.com":"ecr-login"},"credsStore":"pass"})", "r", "helper pass"},
           Case{R"({"credHelpers":{"r.example.com":1}})", "r.example.com", "none"},
           Case{"[]", "r", "problem: is not a JSON object"},
           Case{"", "r", "problem: is not a JSON object"},
       }) {
    EXPECT_EQ(login_of(each.config, std::string(each.registry)), each.expected) << each.config;
  }
}

TEST(HelperAnswer, IsAPairOrAToken) {
  EXPECT_EQ(parse_helper_answer(R"({"ServerURL":"x","Username":"a","Secret":"b"})"),
            (RegistryCredentials{.username = "a", .password = "b", .identity_token = {}}));
  EXPECT_EQ(parse_helper_answer(R"({"Username":"<token>","Secret":"b"})"),
            (RegistryCredentials{.username = {}, .password = {}, .identity_token = "b"}));
  EXPECT_FALSE(parse_helper_answer("credentials not found in native keychain"));
  EXPECT_FALSE(parse_helper_answer("{}"));
}

// Decoded by Docker in Go, base64.URLEncoding: padded, with "-" and "_".
TEST(RegistryAuthField, IsUrlSafeAndPadded) {
  RegistryCredentials credentials{.username = "a", .password = "\xc3\xbf\xc3\xbf\xc3\xbe>>>???", .identity_token = {}};
  for (const char* more : {"", "x", "xy"}) {
    credentials.password += more;
    std::string field = registry_auth_field(credentials, "r");
    EXPECT_EQ(field.size() % 4, 0u);
    EXPECT_EQ(field.find_first_of("+/"), std::string::npos);
  }
  credentials.password = "b";
  EXPECT_EQ(registry_auth_field(credentials, "r"),
            "eyJwYXNzd29yZCI6ImIiLCJzZXJ2ZXJhZGRyZXNzIjoiciIsInVzZXJuYW1lIjoiYSJ9");
}

}  // namespace
}  // namespace lotse::agent
