#include "cli/table.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/clock.h"

namespace lotse::cli {

std::string Table::text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size() + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string age_of(const std::string& timestamp) {
  auto then = parse_timestamp(timestamp);
  if (!then) return "-";
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(SystemClock().wall() - *then).count();
  seconds = std::max<decltype(seconds)>(seconds, 0);
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

}  // namespace lotse::cli
