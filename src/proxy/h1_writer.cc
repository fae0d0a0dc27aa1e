#include "proxy/h1_writer.h"

#include <charconv>
#include <cstring>

namespace lotse::proxy {

namespace {

class Cursor {
 public:
  explicit Cursor(char* start) : start_(start), place_(start) {}
  Cursor& operator<<(std::string_view text) {
    std::memcpy(place_, text.data(), text.size());
    place_ += text.size();
    return *this;
  }
  Cursor& operator<<(std::uint64_t number) {
    place_ = std::to_chars(place_, place_ + 20, number).ptr;
    return *this;
  }
  void hex(std::uint64_t number) { place_ = std::to_chars(place_, place_ + 16, number, 16).ptr; }
  // Neighbours that stand in the received head just as we would write them are copied as one block.
  void fields(std::span<const http::Field> fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!is_as_written(fields[i])) {
        *this << fields[i].name << ": " << fields[i].value << "\r\n";
        continue;
      }
      const char* const begin = fields[i].name.data();
      const char* end = end_of(fields[i]);
      while (i + 1 < fields.size() && fields[i + 1].name.data() == end + 2 && is_as_written(fields[i + 1]) &&
             end[0] == '\r' && end[1] == '\n')
        end = end_of(fields[++i]);
      *this << std::string_view(begin, static_cast<std::size_t>(end - begin)) << "\r\n";
    }
  }
  std::size_t size() const { return static_cast<std::size_t>(place_ - start_); }

 private:
  static const char* end_of(const http::Field& field) { return field.value.data() + field.value.size(); }
  static bool is_as_written(const http::Field& field) {
    const char* const colon = field.name.data() + field.name.size();
    return field.value.data() == colon + 2 && colon[0] == ':' && colon[1] == ' ';
  }

  char* start_;
  char* place_;
};

constexpr std::size_t kFramingBytesMax = 160;  // the lines below that are ours, with the longest numbers

std::size_t bytes_of(std::span<const http::Field> fields) {
  std::size_t sum = 0;
  for (const http::Field& field : fields) sum += field.name.size() + field.value.size() + 4;
  return sum;
}

}  // namespace

void write_request_head(Outbox& outbox, const RequestOut& head) {
  std::size_t bytes_max = kFramingBytesMax + head.method_text.size() + head.target.size() + head.authority.size() +
                          head.upgrade.size() + bytes_of(head.fields);
  Cursor out(outbox.reserve(bytes_max));
  out << head.method_text << " " << head.target << " HTTP/1.1\r\nHost: " << head.authority << "\r\n";
  if (head.is_chunked) {
    out << "Transfer-Encoding: chunked\r\n";
  } else if (head.content_length) {
    out << "Content-Length: " << *head.content_length << "\r\n";
  }
  out.fields(head.fields);
  if (!head.upgrade.empty()) {
    out << "Connection: upgrade\r\nUpgrade: " << head.upgrade << "\r\n";
  } else if (head.accepts_trailers) {
    out << "Connection: TE\r\nTE: trailers\r\n";
  }
  out << "\r\n";
  outbox.commit(out.size());
}

void write_response_head(Outbox& outbox, const ResponseOut& head, ResponseFraming framing) {
  std::string_view reason = head.reason.empty() ? http::reason_of(head.status) : head.reason;
  std::size_t bytes_max = kFramingBytesMax + reason.size() + head.upgrade.size() + bytes_of(head.fields);
  Cursor out(outbox.reserve(bytes_max));
  out << "HTTP/1.1 " << static_cast<std::uint64_t>(head.status) << " " << reason << "\r\n";
  out.fields(head.fields);
  if (framing.is_chunked) {
    out << "Transfer-Encoding: chunked\r\n";
  } else if (head.content_length) {
    out << "Content-Length: " << *head.content_length << "\r\n";
  }
  if (!head.upgrade.empty()) {
    out << "Connection: upgrade\r\nUpgrade: " << head.upgrade << "\r\n";
  } else if (framing.connection == ConnectionSays::close) {
    out << "Connection: close\r\n";
  } else if (framing.connection == ConnectionSays::keep_alive) {
    out << "Connection: keep-alive\r\n";
  }
  out << "\r\n";
  outbox.commit(out.size());
}

void write_chunk(Outbox& outbox, std::string_view bytes) {
  Cursor out(outbox.reserve(18));
  out.hex(bytes.size());
  out << "\r\n";
  outbox.commit(out.size());
  outbox.add_bytes(bytes);
  outbox.add_text("\r\n");
}

void write_last_chunk(Outbox& outbox, std::span<const http::Field> trailers) {
  Cursor out(outbox.reserve(kFramingBytesMax + bytes_of(trailers)));
  out << "0\r\n";
  out.fields(trailers);
  out << "\r\n";
  outbox.commit(out.size());
}

}  // namespace lotse::proxy
