#include "proxy/config_report.h"

#include <fmt/core.h>

#include <algorithm>

namespace lotse::proxy {
namespace {

constexpr std::size_t kSourceBytesMax = 160;  // of a source line that is shown

// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

// Blanks up to `column`, tabs kept, one per character (UTF-8 continuation bytes take no room on a screen).
std::string padding(std::string_view source, int column) {
  std::string pad;
  for (std::size_t i = 0; i + 1 < static_cast<std::size_t>(column) && i < source.size(); ++i) {
    unsigned char byte = static_cast<unsigned char>(source[i]);
    if (byte == '\t')
      pad += '\t';
    else if ((byte & 0xc0) != 0x80)
      pad += ' ';
  }
  return pad;
}

bool is_before(const ConfigProblem& a, const ConfigProblem& b) {
  return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
}

}  // namespace

std::string ConfigProblem::text() const {
  std::string out = file;
  if (place.line > 0) out += fmt::format(":{}:{}", place.line, place.column);
  if (!key.empty()) out += ": " + key;
  return out + ": " + what;
}

std::string ConfigProblem::text_with_caret() const {
  if (source.empty() || place.column < 1) return text();
  return fmt::format("{}\n    {}\n    {}^", text(), source, padding(source, place.column));
}

ConfigReport::ConfigReport(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {
  line_starts_.push_back(0);
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    line_starts_.push_back(at + 1);
  }
}

Place ConfigReport::place_of(std::string_view key) const {
  while (!key.empty()) {
    if (auto found = places_.find(key); found != places_.end()) return found->second;
    std::size_t cut = key.find_last_of(".[");
    key = cut == std::string_view::npos ? std::string_view{} : key.substr(0, cut);
  }
  return {};
}

std::string ConfigReport::source_line(int line) const {
  if (line < 1 || static_cast<std::size_t>(line) > line_starts_.size()) return {};
  std::string_view rest = text_.substr(line_starts_[static_cast<std::size_t>(line) - 1]);
  rest = rest.substr(0, std::min(rest.find_first_of("\r\n"), rest.size()));
  return std::string(rest);
}

ConfigProblem ConfigReport::make(Place place, std::string key, std::string what) const {
  ConfigProblem problem{file_, place, std::move(key), std::move(what), source_line(place.line)};
  if (problem.source.size() > kSourceBytesMax) {
    problem.source.resize(kSourceBytesMax);
    if (static_cast<std::size_t>(place.column) > kSourceBytesMax) problem.source.clear();
  }
  return problem;
}

void ConfigReport::problem(Place place, std::string key, std::string what) {
  if (problems_.size() >= kConfigProblemsMax) {
    ++problems_dropped_;
    return;
  }
  problems_.push_back(make(place, std::move(key), std::move(what)));
}

void ConfigReport::warning(const std::string& key, std::string what) {
  if (warnings_.size() < kConfigProblemsMax) warnings_.push_back(make(place_of(key), key, std::move(what)));
}

std::string ConfigReport::file_beside(const std::string& path) const {
  std::size_t slash = file_.rfind('/');
  if (path.starts_with('/') || slash == std::string::npos) return path;
  return file_.substr(0, slash + 1) + path;
}

std::string ConfigReport::where(const std::string& key) const {
  return fmt::format("{} ({}:{})", key, file_, place_of(key).line);
}

std::vector<ConfigProblem> ConfigReport::take_problems() {
  std::stable_sort(problems_.begin(), problems_.end(), is_before);
  if (problems_dropped_ > 0) {
    problems_.push_back({file_, {}, "", fmt::format("and {} more problems", problems_dropped_), ""});
  }
  return std::move(problems_);
}

std::vector<ConfigProblem> ConfigReport::take_warnings() {
  std::stable_sort(warnings_.begin(), warnings_.end(), is_before);
  return std::move(warnings_);
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  constexpr std::size_t kWordBytesMax = 64;  // nobody's slip of the finger is longer; keeps the table small
  std::string_view best;
  std::size_t best_distance = std::min<std::size_t>(3, std::max<std::size_t>(1, word.size() / 3)) + 1;
  if (word.size() > kWordBytesMax) return best;
  for (std::string_view candidate : candidates) {
    std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace lotse::proxy
