#include "model/json_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "model/json_text.h"

namespace lotse::model {
namespace {

std::string written(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

template <typename T>
std::string written_value(T value) {
  JsonWriter json;
  json.value(value);
  return json.take();
}

TEST(JsonWriter, EscapesWhatJsonMustNotHoldAsItIs) {
  std::string every;
  for (int byte = 0; byte < 128; ++byte) every += static_cast<char>(byte);
  EXPECT_EQ(nlohmann::json::parse(written(every)).get<std::string>(), every);
  EXPECT_EQ(written("a\"b\\c\n\x01"), R"("a\"b\\c\n\u0001")");
}

TEST(JsonWriter, KeepsUtf8AndReplacesWhatIsNone) {
  for (const char* text : {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(written(text), "\"" + std::string(text) + "\"");
  }
  // A lone continuation, an overlong, a surrogate, beyond U+10FFFF, never-valid bytes, and each cut off.
  for (const char* text : {"\x80", "\xc0\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                           "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "a\xe2(\xa1"}) {
    std::string json = written(text);
    EXPECT_TRUE(nlohmann::json::accept(json)) << json;
    EXPECT_NE(json.find("\xEF\xBF\xBD"), std::string::npos) << json;
  }
}

TEST(JsonWriter, WritesNumbersThatReadBackTheSame) {
  for (double number : {0.1, 1.15, 1e-9, 1e300, 123456789.125, -0.5, 1e15, 4e15}) {
    EXPECT_EQ(nlohmann::json::parse(written_value(number)).get<double>(), number);
  }
  EXPECT_EQ(written_value(3.0), "3");
  EXPECT_EQ(written_value(100000.0), "100000");
  EXPECT_EQ(written_value(std::numeric_limits<double>::infinity()), "0");
  EXPECT_EQ(written_value(std::numeric_limits<double>::quiet_NaN()), "0");
  EXPECT_EQ(written_value(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(written_value(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
}

TEST(JsonWriter, PutsCommasWhereTheyBelong) {
  JsonWriter json;
  json.begin_object();
  json.member("a", 1);
  json.key("b");
  json.begin_array();
  json.begin_object();
  json.end_object();
  json.value(true);
  json.raw("null");
  json.end_array();
  json.member("c", std::vector<std::string>{"x", "y"});
  json.member("d", std::map<std::string, std::string>{{"k", "v"}, {"l", "w"}});
  json.end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":[{},true,null],"c":["x","y"],"d":{"k":"v","l":"w"}})");
}

TEST(JsonText, RefusesWhatIsNestedTooDeep) {
  auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json_text(nested(200)));
  EXPECT_FALSE(parse_json_text(nested(201)));
  EXPECT_FALSE(parse_json_text(std::string(1'000'000, '[')));
  EXPECT_TRUE(parse_json_text("\"" + std::string(1000, '[') + "\\\"[\""));  // in a string they nest nothing
}

TEST(JsonText, SaysWhereTheTextIsWrong) {
  auto value = parse_json_text("{\"a\":\n x}");
  ASSERT_FALSE(value);
  EXPECT_TRUE(value.error().what.starts_with("parse error at line 2, column 2")) << value.error().what;
}

}  // namespace
}  // namespace lotse::model
