// What the field blocks of HTTP/2 mean: reads them into the heads that the rest knows, as strictly as the h1 parser
// reads its own (RFC 9113 section 8, PROXY.md "Posture" 14; docs/http2.md lists every rule with its test). Pure; views
// of the block, but for cookies, which are joined. A request that passes can be written as HTTP/1.1 and means the same.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "http/message.h"

namespace lotse::http {

// 400 is for what is malformed: a stream error of type PROTOCOL_ERROR (RFC 9113 section 8.1.1), never an answer that a
// cache or a middleman could take for one about the resource. Other statuses are to be answered.
inline constexpr int kH2Malformed = 400;

// Keeps its memory from one head to the next. What it reads trailers with is not what it read the head with, while that
// is in use: each read takes the fields of the one before.
class H2HeadReader {
 public:
  // `ends`: no body follows. On success `head` stays valid as long as the block and until the next read. An extended
  // CONNECT (RFC 8441) comes out as what HTTP/1.1 has in its place: GET, and `upgrade` names the protocol; nothing else
  // sets `upgrade`.
  ParseError read_request(std::span<const Field> block, bool ends, const Limits& limits, RequestHead& head);
  // `asked`: the method of the request that this answers.
  ParseError read_response(std::span<const Field> block, bool ends, Method asked, ResponseHead& head);
  ParseError read_trailers(std::span<const Field> block, std::span<const Field>& trailers);

  std::size_t held_bytes() const { return cookie_.capacity() + fields_.capacity() * sizeof(Field); }
  void release();

 private:
  struct Facts;
  ParseError read_fields(std::span<const Field> block, bool is_request, Facts& facts);
  void join_cookies();

  std::vector<Field> fields_;
  std::string cookie_;
};

}  // namespace lotse::http
