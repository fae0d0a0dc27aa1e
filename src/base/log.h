// Logging for people and machines: one line an event, to standard error, by way of spdlog (kept out of headers).
// Any thread. Never on the request path: the access log has its own writer.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace lotse::log {

enum class Level : std::uint8_t { debug, info, warn, error };

void set_level(Level level);  // default: info
Level level();
bool enabled(Level level);
void write(Level level, std::string_view role, std::string_view text);  // role: "proxy", "scheduler", "agent", ...

template <typename... Args>
void info(std::string_view role, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, role, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(std::string_view role, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warn, role, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(std::string_view role, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, role, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(std::string_view role, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, role, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lotse::log
