// What the commands share that start a deployment: --wait, --timeout, and what is printed. And `lotse app promote`.
// Main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/client_command.h"

namespace lotse::cli {

struct WaitOptions {
  bool wait = false;
  std::string timeout = "15m";  // longer than a deployment's own deadline, whose verdict says more
};
void add_wait(CLI::App* command, const std::shared_ptr<WaitOptions>& options);

// Prints what `answer` started and, with --wait, follows it to its end.
Result<Unit, Problem> follow_answer(ApiClient& client, const ClientOptions& options, const WaitOptions& wait,
                                    const ApiAnswer& answer, const std::vector<std::string>& apps);

void add_promote(CLI::App& app, Invocation& invocation);

}  // namespace lotse::cli
