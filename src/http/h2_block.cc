#include "http/h2_block.h"

namespace lotse::http {

namespace {
constexpr std::size_t kKeptBytes = 4096;  // what is larger belongs to the request that needed it
}

void H2Block::clear() {
  if (text_.capacity() > kKeptBytes) std::string().swap(text_);
  text_.clear();
  places_.clear();
  fields_.clear();
  bytes_ = count_ = 0;
  is_too_large_ = false;
}

bool H2Block::add(std::string_view name, std::string_view value, std::size_t bytes_max, std::size_t fields_max) {
  bytes_ += name.size() + value.size() + kFieldOverhead;
  const bool is_pseudo = name.starts_with(':');
  if (!is_pseudo) ++count_;
  if (bytes_ > bytes_max || count_ > fields_max) {
    is_too_large_ = true;
    return bytes_ <= 2 * bytes_max && count_ <= 2 * fields_max;
  }
  places_.push_back({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(name.size()),
                     static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(": ").append(value).append("\r\n");
  return true;
}

std::span<const Field> H2Block::fields() {
  fields_.clear();
  fields_.reserve(places_.size());
  for (const Place& place : places_) {
    const char* const name = text_.data() + place.start;
    fields_.push_back({{name, place.name_bytes}, {name + place.name_bytes + 2, place.value_bytes}, FieldId::unread});
  }
  return fields_;
}

}  // namespace lotse::http
