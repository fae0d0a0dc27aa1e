// Heads are looked at 16 bytes a step. Here every head ends where readable memory ends, and begins at every place
// before it: a step too far is a crash, not a lucky read. The readings are those of the same bytes with room around
// them.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "http/field_line.h"
#include "http/h1_parser.h"
#include "http/head_scanner.h"
#include "tests/http/recorder.h"

namespace lotse::http {
namespace {

// Memory that ends at a page nobody may touch, and begins behind one.
class Border {
 public:
  Border() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    all_ = mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(all_, MAP_FAILED);
    EXPECT_EQ(mprotect(static_cast<char*>(all_) + page_, page_, PROT_READ | PROT_WRITE), 0);
  }
  ~Border() { munmap(all_, 3 * page_); }
  Border(const Border&) = delete;

  std::span<const char> at_end(std::string_view text) {
    char* const place = static_cast<char*>(all_) + 2 * page_ - text.size();
    std::memcpy(place, text.data(), text.size());
    return {place, text.size()};
  }
  std::span<const char> at_start(std::string_view text) {
    char* const place = static_cast<char*>(all_) + page_;
    std::memcpy(place, text.data(), text.size());
    return {place, text.size()};
  }

 private:
  std::size_t page_;
  void* all_;
};

std::string read_request(std::span<const char> bytes) {
  const Limits limits;
  Recorder recorder;
  RequestParser parser(recorder, limits);
  const FeedResult result = parser.feed(bytes);
  return recorder.text + fmt::format("{} {}", result.consumed, result.error.status);
}

TEST(PageBorder, HeadsAreReadUpToTheirEndAndNoFurther) {
  Border border;
  for (std::size_t padding = 0; padding < 70; ++padding) {
    // Whole, cut anywhere, and with what refuses it in every place of a block.
    const std::string head = "GET /" + std::string(padding, 'p') +
                             " HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nA:" + std::string(padding % 17, ' ') + "\r\n\r\n";
    for (std::size_t size = 0; size <= head.size(); ++size) {
      const std::string_view part = std::string_view(head).substr(0, size);
      const std::string expected = read_request({part.data(), part.size()});
      ASSERT_EQ(read_request(border.at_end(part)), expected) << part;
      ASSERT_EQ(read_request(border.at_start(part)), expected) << part;
    }
    for (const char bad : {'\n', '\r', '\0', '\x7f'}) {
      std::string broken = head;
      broken[padding % head.size()] = bad;
      ASSERT_EQ(read_request(border.at_end(broken)), read_request({broken.data(), broken.size()}));
    }
  }
}

TEST(PageBorder, FieldLinesAreReadUpToTheirEndAndNoFurther) {
  Border border;
  for (std::size_t name_bytes = 0; name_bytes < 40; ++name_bytes) {
    for (const char* end : {"", ":", ": ", ": v", ":\t v \t", " : v", "\x80: v", "_x: v"}) {
      const std::string line = std::string(name_bytes, 'n') + end;
      const std::span<const char> placed = border.at_end(line);
      Field field, expected;
      const ParseError error = read_field_line({placed.data(), placed.size()}, placed.data() + placed.size(), field);
      const std::string roomy = line + std::string(64, 'x');
      const ParseError expected_error =
          read_field_line(std::string_view(roomy).substr(0, line.size()), roomy.data() + line.size(), expected);
      ASSERT_EQ(error.status, expected_error.status) << line;
      ASSERT_EQ(field.name, expected.name) << line;
      ASSERT_EQ(field.value, expected.value) << line;
    }
  }
}

TEST(PageBorder, ControlCharactersAreFoundInEveryPlaceOfABlock) {
  Border border;
  for (std::size_t size = 0; size <= 50; ++size) {
    std::string text(size, 'a');
    std::span<const char> placed = border.at_end(text);
    EXPECT_EQ(find_control(placed.data(), placed.data() + size), placed.data() + size);
    for (std::size_t at = 0; at < size; ++at) {
      for (const char control : {'\0', '\n', '\r', '\x1f', '\x7f'}) {
        text[at] = control;
        placed = border.at_end(text);
        ASSERT_EQ(find_control(placed.data(), placed.data() + size), placed.data() + at) << size << " " << at;
      }
      for (const char fine : {'\t', ' ', '\x80', '\xff', '~'}) {
        text[at] = fine;
        placed = border.at_end(text);
        ASSERT_EQ(find_control(placed.data(), placed.data() + size), placed.data() + size);
      }
      text[at] = 'a';
    }
  }
}

}  // namespace
}  // namespace lotse::http
