#include "cli/client_command.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace lotse::cli {

CLI::App* add_client_command(CLI::App& parent, Invocation& invocation, std::string name, std::string description,
                             Talks talks, RunClient run) {
  CLI::App* command = parent.add_subcommand(std::move(name), std::move(description));
  auto options = std::make_shared<ClientOptions>();
  if (talks == Talks::to_scheduler) {
    command->add_option("--scheduler", options->scheduler, "Where the scheduler's API is")
        ->envname("LOTSE_SCHEDULER")
        ->capture_default_str()
        ->type_name("URL");
  } else {
    command->add_option("--admin", options->admin, "Where the proxy's admin API is")
        ->envname("LOTSE_ADMIN")
        ->capture_default_str()
        ->type_name("ADDR");
  }
  command->add_flag("--json", options->json, "Print JSON for programs");
  command->callback([options, talks, run = std::move(run), &invocation] {
    auto client = ApiClient::open(talks == Talks::to_scheduler ? options->scheduler : options->admin);
    Result<Unit, Problem> outcome = Unit{};
    try {
      if (client)
        outcome = run(*client, *options);
      else
        outcome = fail(client.error());
    } catch (const nlohmann::json::exception& error) {  // valid JSON of another shape: not the server we think it is
      outcome = fail(Problem{"", std::string("unexpected answer: ") + error.what()});
    }
    if (outcome) return;
    std::string text = outcome.error().text();
    if (text.find("?force=true") != std::string::npos) text += " (for this command: --force)";
    std::fprintf(stderr, "lotse: %s\n", text.c_str());
    invocation.exit_code = 1;
  });
  return command;
}

std::string check_duration(const std::string& text) {
  return parse_duration(text) ? "" : "\"" + text + "\" is no duration; write for example 90s or 10m";
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}
void print_line(std::string_view text) { print(std::string(text) + "\n"); }

std::string normal_app_id(std::string id) {
  if (!id.starts_with('/')) id.insert(id.begin(), '/');
  while (id.size() > 1 && id.ends_with('/')) id.pop_back();
  return id;
}

std::string app_path(const std::string& id, std::string_view suffix) {
  std::string path = "/v2/apps";
  for (const char c : normal_app_id(id)) {
    if (c == '/')
      path += c;
    else
      path += http::percent_encode(std::string_view(&c, 1));
  }
  return path.append(suffix);
}

}  // namespace lotse::cli
