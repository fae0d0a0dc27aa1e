#include "proxy/config_loader.h"

#include <fmt/core.h>

#include <csignal>
#include <utility>

#include "base/log.h"
#include "proxy/config_parser.h"

namespace lotse::proxy {

ConfigLoader::ConfigLoader(net::Loop& loop, std::string path, Apply apply)
    : loop_(loop), path_(std::move(path)), apply_(std::move(apply)) {}

ConfigLoader::~ConfigLoader() = default;

Result<Unit, Problem> ConfigLoader::load_first() {
  std::string problems;
  if (!load(Force::yes, problems)) return fail(Problem{"", problems});
  return Unit{};
}

void ConfigLoader::watch() {
  file_watch_ = net::FileWatch::open(loop_, path_, [this] { on_file_changed(); });
  signal_watch_ = net::SignalWatch::open(loop_, SIGHUP, [this] {
    if (on_hangup_) on_hangup_();
    reload();
  });
}

bool ConfigLoader::reload() {
  std::string problems;
  bool is_good = load(Force::yes, problems);
  if (!is_good) log::error("proxy", "the configuration stays as it is; {} was not applied:\n{}", path_, problems);
  return is_good;
}

void ConfigLoader::on_file_changed() {
  std::string problems;
  if (load(Force::no, problems)) return;
  log::error("proxy", "the configuration stays as it is; {} was not applied:\n{}", path_, problems);
}

// Reads, checks, applies. False: `problems` says why, and nothing changed.
bool ConfigLoader::load(Force force, std::string& problems) {
  auto text = read_config_file(path_);
  if (text && force == Force::no && has_tried_ && *text == last_text_) return true;
  ++reloads_;
  has_tried_ = true;
  is_last_good_ = false;
  ++failures_;  // until it turns out to be good
  if (!text) {
    last_text_.clear();
    problems = text.error().text();
    return false;
  }
  last_text_ = *text;
  if (on_loading_) on_loading_(true);
  const bool is_good = take(*text, problems);
  if (on_loading_) on_loading_(false);
  return is_good;
}

bool ConfigLoader::take(const std::string& text, std::string& problems) {
  ParsedConfig parsed = parse_config(text, path_);
  if (!parsed.config) {
    for (const ConfigProblem& problem : parsed.problems)
      problems += (problems.empty() ? "" : "\n") + problem.text_with_caret();
    return false;
  }
  for (const ConfigProblem& warning : parsed.warnings) log::warn("proxy", "{}", warning.text());
  if (auto applied = apply_(parsed.config); !applied) {
    problems = applied.error().text();
    return false;
  }
  --failures_;
  is_last_good_ = true;
  last_good_at_ = loop_.clock().wall();
  bool is_first = std::exchange(current_, std::move(parsed.config)) == nullptr;
  log::info("proxy", "configuration {} {}", path_, is_first ? "loaded" : "reloaded");
  return true;
}

void ConfigLoader::write_metrics(std::string& out) const {
  double at = static_cast<double>(last_good_at_.time_since_epoch().count()) / 1000;
  out += fmt::format(
      "# HELP lotse_config_last_reload_success 1 when the file as it is now is what runs.\n"
      "# TYPE lotse_config_last_reload_success gauge\nlotse_config_last_reload_success {}\n"
      "# HELP lotse_config_last_reload_timestamp When a configuration was last applied, seconds since 1970.\n"
      "# TYPE lotse_config_last_reload_timestamp gauge\nlotse_config_last_reload_timestamp {:.3f}\n"
      "# HELP lotse_config_reloads_total Tries to load the file.\n"
      "# TYPE lotse_config_reloads_total counter\nlotse_config_reloads_total {}\n"
      "# HELP lotse_config_reload_failures_total Tries that changed nothing.\n"
      "# TYPE lotse_config_reload_failures_total counter\nlotse_config_reload_failures_total {}\n",
      is_last_good_ ? 1 : 0, at, reloads_, failures_);
}

}  // namespace lotse::proxy
