#include "http/head_scanner.h"
#include "http/sse.h"

namespace lotse::http {

namespace {

const char* find_line_end(const char* place, const char* end) {
  while (true) {
    place = find_control(place, end);
    if (place == end || *place == '\r' || *place == '\n') return place;
    ++place;  // another control character is text here
  }
}

}  // namespace

bool SseParser::feed(std::string_view bytes, const OnEvent& on_event) {
  is_stopped_ = false;
  const char* place = bytes.data();
  const char* const end = place + bytes.size();
  while (place != end) {
    if (skip_lf_) {
      skip_lf_ = false;
      if (*place == '\n' && ++place == end) break;
    }
    const char* const line_end = find_line_end(place, end);
    const std::string_view piece(place, static_cast<std::size_t>(line_end - place));
    if (line_.size() + piece.size() + data_.size() > event_bytes_max_) return false;
    if (line_end == end) {
      line_ += piece;
      break;
    }
    skip_lf_ = *line_end == '\r';
    place = line_end + 1;
    bool fits = true;
    if (line_.empty()) {
      fits = take_line(piece, on_event);
    } else {
      line_ += piece;
      std::string line;
      line.swap(line_);
      fits = take_line(line, on_event);
    }
    if (!fits) return false;
    if (is_stopped_) break;
  }
  return true;
}

bool SseParser::take_line(std::string_view line, const OnEvent& on_event) {
  if (line.empty()) {
    dispatch(on_event);
    return true;
  }
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  }
  // `retry` is ignored: how often to reconnect is our own configuration. Other names and comments say nothing.
  return data_.size() + type_.size() + id_.size() <= event_bytes_max_;
}

void SseParser::dispatch(const OnEvent& on_event) {
  last_id_ = id_;
  const bool has_data = std::exchange(has_data_, false);
  SseEvent event{.type = std::move(type_), .data = std::move(data_), .id = last_id_};
  type_.clear();
  data_.clear();
  if (!has_data) return;
  if (event.type.empty()) event.type = "message";
  on_event(event);
}

void SseParser::reset() {
  line_.clear();
  data_.clear();
  type_.clear();
  id_ = last_id_;
  has_data_ = skip_lf_ = false;
}

void append_sse_event(std::string& out, std::string_view type, std::string_view data, std::string_view id) {
  const auto append_field = [&](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += '\n';
  };
  if (!type.empty() && type != "message") append_field("event", type);
  if (!id.empty()) append_field("id", id);
  while (true) {
    const std::size_t line_end = data.find_first_of("\r\n");
    append_field("data", data.substr(0, line_end));
    if (line_end == std::string_view::npos) break;
    data.remove_prefix(line_end + (data.substr(line_end).starts_with("\r\n") ? 2 : 1));
  }
  out += '\n';
}

}  // namespace lotse::http
