// `lotse scheduler backup|restore`: copies of the scheduler's database.
#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/role.h"
#include "http/url.h"
#include "scheduler/server/store_backup.h"

namespace lotse::cli {
namespace {

Result<std::string, Problem> absolute(const std::string& file) {
  std::error_code code;
  auto path = std::filesystem::absolute(file, code).lexically_normal().string();
  if (code) return fail(Problem{file, code.message()});
  return path;
}

// The scheduler writes the file itself, so it appears on its machine.
Result<Unit, Problem> back_up(ApiClient& client, const ClientOptions& options, const std::string& file) {
  auto path = absolute(file);
  if (!path) return fail(path.error());
  auto answer = client.expect_success("POST", "/v1/backup?file=" + http::percent_encode(*path));
  if (!answer) return fail(answer.error());
  print_line(options.json ? answer->body : fmt::format("{} is written, on the scheduler's machine", *path));
  return Unit{};
}

int restore(const std::string& directory, const std::string& file) {
  auto restored = scheduler::restore_data(directory, file);
  if (!restored) return report_failure("scheduler", restored.error());
  print_line(fmt::format("{0} is in place; what was there is kept as {1}{2}.before-restore. Start the scheduler now.",
                         file, directory, scheduler::kDatabaseName));
  return 0;
}

}  // namespace

void add_scheduler_backup(CLI::App& scheduler, Invocation& invocation, const std::string& default_data) {
  auto file = std::make_shared<std::string>();
  auto data = std::make_shared<std::string>(default_data);
  CLI::App* command = add_client_command(
      scheduler, invocation, "backup", "Copy everything a running scheduler knows into FILE", Talks::to_scheduler,
      [=](ApiClient& client, const ClientOptions& options) { return back_up(client, options, *file); });
  command->add_option("file", *file, "A path that does not exist yet, on the scheduler's machine")
      ->required()
      ->type_name("FILE");
  command = scheduler.add_subcommand("restore", "Put a backup in the place of the data of a scheduler that is stopped");
  command->add_option("file", *file, "As written by `lotse scheduler backup`")->required()->type_name("FILE");
  command->add_option("--data", *data, "Directory of the store")->capture_default_str()->type_name("DIR");
  command->callback([=, &invocation] { invocation.exit_code = restore(*data, *file); });
}

}  // namespace lotse::cli
