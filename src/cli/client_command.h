// What every client command shares: where the scheduler or the proxy's admin API is, --json, and how it fails.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace lotse::cli {

struct ClientOptions {
  std::string scheduler = "http://127.0.0.1:8080";
  std::string admin = "127.0.0.1:9901";
  bool json = false;
};

enum class Talks : std::uint8_t { to_scheduler, to_proxy };

// Adds `name` below `parent` with the shared options; `run` gets a connected client and prints its own output. A
// Problem is printed to standard error as "lotse: ..." and makes the exit code 1.
using RunClient = std::function<Result<Unit, Problem>(ApiClient&, const ClientOptions&)>;
CLI::App* add_client_command(CLI::App& parent, Invocation& invocation, std::string name, std::string description,
                             Talks talks, RunClient run);

std::string check_duration(const std::string& text);  // for options: an empty answer is a good one (CLI11)
void print(std::string_view text);                    // to standard output
void print_line(std::string_view text);
std::string normal_app_id(std::string id);                                  // "hello" -> "/hello"
std::string app_path(const std::string& id, std::string_view suffix = {});  // "/v2/apps/hello/tasks"

}  // namespace lotse::cli
