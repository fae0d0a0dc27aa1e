#include "proxy/log_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lotse::proxy {
namespace {

std::string as_json(std::string_view text) {
  std::vector<char> room(json_string_bytes_max(text));
  char* end = put_string(room.data(), text);
  EXPECT_LE(end, room.data() + room.size());
  return {room.data(), static_cast<std::size_t>(end - room.data())};
}

TEST(LogLine, EscapesWhatJsonMustNotHold) {
  EXPECT_EQ(as_json(""), R"("")");
  EXPECT_EQ(as_json("/shop/api/v1/items"), R"("/shop/api/v1/items")");
  EXPECT_EQ(as_json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(as_json(std::string_view("\0\x01\n\x1f\x7f", 5)), R"("\u0000\u0001\u000a\u001f\u007f")");
  EXPECT_EQ(as_json("Größe €𝄞"), "\"Größe €𝄞\"");
}

TEST(LogLine, BytesThatAreNotUtf8AppearAsNumbers) {
  EXPECT_EQ(as_json("\xff"), R"("\u00ff")");
  EXPECT_EQ(as_json("\xc3"), R"("\u00c3")");                      // cut off
  EXPECT_EQ(as_json("\xc0\xaf"), R"("\u00c0\u00af")");            // overlong
  EXPECT_EQ(as_json("\xed\xa0\x80"), R"("\u00ed\u00a0\u0080")");  // a surrogate
  EXPECT_EQ(as_json("\xf4\x90\x80\x80"), R"("\u00f4\u0090\u0080\u0080")");
  EXPECT_EQ(as_json("\xe2\x82"), R"("\u00e2\u0082")");
}

// Each byte at each place of a text that is longer than the eight bytes that are looked at at once.
TEST(LogLine, EveryByteAtEveryPlaceGivesValidJson) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t place = 0; place < 20; ++place) {
      std::string text(20, 'x');
      text[place] = static_cast<char>(byte);
      auto parsed = nlohmann::json::parse(as_json(text), nullptr, false);
      ASSERT_FALSE(parsed.is_discarded()) << byte << " at " << place;
      if (byte < 0x80) {
        ASSERT_EQ(parsed.get<std::string>(), text) << byte << " at " << place;
      }
    }
  }
}

TEST(LogLine, NumbersOfAnySize) {
  char room[kNumberBytesMax];
  auto text = [&](std::uint64_t number) {
    return std::string(room, static_cast<std::size_t>(put_number(room, number) - room));
  };
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(~std::uint64_t{0}), "18446744073709551615");
}

}  // namespace
}  // namespace lotse::proxy
