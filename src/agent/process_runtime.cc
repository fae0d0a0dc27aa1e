#include "agent/process_runtime.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "agent/command_run.h"
#include "agent/durable_file.h"
#include "agent/process_log.h"
#include "agent/task_environment.h"
#include "base/log.h"
#include "net/awaitables.h"
#include "net/listen.h"
#include "net/loop.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPollInterval = 100ms;
constexpr std::uint64_t kPollsPerLogCheck = 20;
constexpr Duration kEndPollInterval = 20ms;
constexpr Duration kKillPatience = 10s;  // a process in uninterruptible sleep may not even hear SIGKILL

// $1: the command, $2: where its exit code goes. The traps make this shell outlive the SIGTERM that its group gets; in
// the command's own shell they are back at their defaults.
constexpr const char* kWrapper =
    "trap : HUP INT QUIT TERM; /bin/sh -c \"$1\"; code=$?; "
    "echo \"$code\" >\"$2.tmp\" && mv \"$2.tmp\" \"$2\"; exit \"$code\"";

RuntimeError refused(std::string words) { return {RuntimeError::Outcome::refused, std::move(words)}; }

std::optional<int> exit_code_in(const std::string& path) {
  auto file = read_whole(path, 4096);
  if (!file || !file->exists) return std::nullopt;
  int code = 0;
  auto [end, error] = std::from_chars(file->content.data(), file->content.data() + file->content.size(), code);
  if (error != std::errc{}) return std::nullopt;
  return code;
}

// A process sees the machine's own files. What it can have is a link in its sandbox (a relative containerPath), or what
// is at the same place anyway; and nobody would hold it to reading only.
std::optional<std::string> volume_problem(const model::App& app) {
  if (!app.container) return std::nullopt;
  for (const model::Volume& volume : app.container->volumes) {
    bool is_in_place = volume.container_path == volume.host_path;
    if (volume.container_path.starts_with('/') && !is_in_place) {
      return fmt::format("volume {}: a plain process cannot have {} there: use a relative containerPath, or an image",
                         volume.container_path, volume.host_path);
    }
    if (("/" + volume.container_path + "/").find("/../") != std::string::npos) {
      return fmt::format("volume {}: lies outside of the sandbox", volume.container_path);
    }
    if (!volume.host_path.starts_with('/')) {
      return fmt::format("volume {}: hostPath {} is no absolute path", volume.container_path, volume.host_path);
    }
    if (volume.read_only) {
      return fmt::format("volume {}: mode RO needs an image: nothing keeps a plain process from writing",
                         volume.container_path);
    }
  }
  return std::nullopt;
}

Done link_volumes(const model::App& app, const std::string& sandbox) {
  if (!app.container) return Unit{};
  for (const model::Volume& volume : app.container->volumes) {
    if (volume.container_path.starts_with('/')) continue;
    std::filesystem::path link = sandbox + "/" + volume.container_path;
    std::error_code code;
    if (std::filesystem::is_symlink(std::filesystem::symlink_status(link, code))) continue;  // of an earlier try
    if (Done made = make_folders(link.parent_path().string()); !made) return made;
    if (::symlink(volume.host_path.c_str(), link.c_str()) != 0) {
      return fail(Problem{"volume " + volume.container_path, std::strerror(errno)});
    }
  }
  return Unit{};
}

struct Account {
  int uid = -1, gid = -1;
};
std::optional<Account> account_of(const std::string& user) {
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return std::nullopt;
  return Account{static_cast<int>(entry->pw_uid), static_cast<int>(entry->pw_gid)};
}

std::vector<std::string> environment_for(const model::LaunchTask& launch, const std::string& host,
                                         const std::string& sandbox) {
  auto variables = task_environment(launch, host, sandbox);
  const char* path = std::getenv("PATH");
  variables.emplace("PATH", path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  variables.emplace("HOME", sandbox);
  std::vector<std::string> list;
  for (const auto& [name, value] : variables) list.push_back(name + "=" + value);
  return list;
}

}  // namespace

ProcessRuntime::ProcessRuntime(net::Loop& loop, std::string data_path, Fetcher& fetcher, std::string host,
                               std::function<void(const model::TaskId&)> on_news)
    : loop_(loop),
      data_path_(std::move(data_path)),
      host_(std::move(host)),
      fetcher_(fetcher),
      on_news_(std::move(on_news)),
      poll_timer_(loop.timers(), [this] { poll(); }) {}

ProcessRuntime::Paths ProcessRuntime::paths_of(const model::TaskId& task) const {
  return {data_path_ + "/processes/" + task, fetcher_.sandbox_of(task)};
}

Async<Outcome<Observation>> ProcessRuntime::look(model::TaskId task) { co_return look_now(task); }

Observation ProcessRuntime::look_now(const model::TaskId& task) {
  using Kind = Observation::Kind;
  Paths paths = paths_of(task);
  Observation seen;
  auto pid_file = read_whole(paths.pid(), 4096);
  auto identity = pid_file ? parse_process_identity(pid_file->content) : std::nullopt;
  bool is_running = identity && is_alive(*identity);
  if (auto code = exit_code_in(paths.exit()); code && !is_running) {
    seen.kind = Kind::exited;
    seen.exit_code = *code;
    return seen;
  }
  if (!identity && !std::filesystem::exists(paths.control)) {
    seen.kind = Kind::absent;
    return seen;
  }
  if (!identity) {
    identity = find_session_leader_with("LOTSE_TASK_ID=" + task);
    is_running = identity.has_value();
    if (identity) static_cast<void>(write_durably(paths.pid(), serialize(*identity), Sync::no));
  }
  if (is_running) {
    watch(task, *identity);
    seen.kind = Kind::running;
    return seen;
  }
  seen.kind = identity ? Kind::exited : Kind::created;
  seen.exit_code_known = !identity;  // neither alive nor an exit code: something killed the shell around it, too
  return seen;
}

Async<Outcome<Unit>> ProcessRuntime::create(model::LaunchTask launch, std::function<void(bool)> on_interruptible) {
  if (!launch.app.cmd) {
    co_return fail(
        refused("this agent runs plain processes only and the app has no cmd to run; it needs an agent with Docker"));
  }
  if (auto words = volume_problem(launch.app)) co_return fail(refused(*words));
  std::optional<SandboxOwner> owner;
  if (launch.app.user) {
    auto account = account_of(*launch.app.user);
    if (!account) co_return fail(refused(fmt::format("no user \"{}\" on this machine", *launch.app.user)));
    owner = SandboxOwner{account->uid, account->gid};
  }
  auto making = fetcher_.make_sandbox(launch, owner, std::move(on_interruptible));
  auto made = co_await making;
  if (!made) co_return fail(made.error());
  if (Done linked = link_volumes(launch.app, fetcher_.sandbox_of(launch.task)); !linked) {
    co_return fail(refused(linked.error().text()));
  }
  Paths paths = paths_of(launch.task);  // the control folder last: while it is not there, nothing is
  if (Done folder = make_folders(paths.control); !folder) co_return fail(refused(folder.error().text()));
  if (owner && ::chown(paths.control.c_str(), static_cast<uid_t>(owner->uid), static_cast<gid_t>(owner->gid)) != 0) {
    co_return fail(refused(
        fmt::format("{}: cannot give it to user {}: {}", paths.control, *launch.app.user, std::strerror(errno))));
  }
  co_return Unit{};
}

Async<Outcome<Unit>> ProcessRuntime::start(model::LaunchTask launch) { co_return spawn(launch); }

Result<net::ProcessOptions, Problem> ProcessRuntime::options_for(const model::LaunchTask& launch) const {
  Paths paths = paths_of(launch.task);
  net::ProcessOptions options;
  options.file = "/bin/sh";
  options.environment = environment_for(launch, host_, paths.sandbox);
  options.directory = paths.sandbox;
  options.new_session = true;
  if (launch.app.user) {
    auto account = account_of(*launch.app.user);
    if (!account) return fail(Problem{"user", fmt::format("no user \"{}\" on this machine", *launch.app.user)});
    if (account->uid != static_cast<int>(::getuid())) {
      options.uid = account->uid;
      options.gid = account->gid;
    }
  }
  return options;
}

Outcome<Unit> ProcessRuntime::spawn(const model::LaunchTask& launch) {
  Paths paths = paths_of(launch.task);
  auto options = options_for(launch);
  if (!options) return fail(refused(options.error().text()));
  constexpr int kFlags =
      O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC;  // appending, so that cutting the file works
  net::UniqueFd out(::open(paths.out().c_str(), kFlags, 0644)), err(::open(paths.err().c_str(), kFlags, 0644));
  if (!out || !err)
    return fail(refused(fmt::format("{}: cannot create logs: {}", paths.sandbox, std::strerror(errno))));
  options->arguments = {"-c", kWrapper, "lotse", launch.app.cmd.value_or(""), paths.exit()};
  options->stdout_fd = out.get();
  options->stderr_fd = err.get();
  auto process = net::Process::spawn(loop_, *options,
                                     [this, task = launch.task](int code, int signal) { on_exit(task, code, signal); });
  if (!process) return fail(refused("cannot start a process: " + describe(process.error())));
  auto identity = identify((*process)->pid());
  if (!identity) identity = ProcessIdentity{(*process)->pid(), 0, "gone"};        // it ended already: on_exit tells
  static_cast<void>(write_durably(paths.pid(), serialize(*identity), Sync::no));  // missing: found by its environment
  children_[launch.task] = std::move(*process);
  watch(launch.task, *identity);
  return Unit{};
}

void ProcessRuntime::on_exit(const model::TaskId& task, int exit_code, int signal) {
  Paths paths = paths_of(task);
  if (auto running = running_.find(task); running != running_.end()) {
    signal_group(running->second, SIGKILL);  // what it left behind in the background ends with it
    running_.erase(running);
  }
  if (!exit_code_in(paths.exit())) {
    int code = signal != 0 ? 128 + signal : exit_code;
    static_cast<void>(write_durably(paths.exit(), fmt::format("{}\n", code), Sync::no));
  }
  auto child = children_.extract(task);  // destroyed when we return: it is calling us
  on_news_(task);
}

void ProcessRuntime::watch(const model::TaskId& task, const ProcessIdentity& identity) {
  running_[task] = identity;
  if (!poll_timer_.is_armed()) poll_timer_.start(kPollInterval);
}

// Adopted processes are not our children, so nobody tells us of their end; and logs must not fill the disk.
void ProcessRuntime::poll() {
  bool checks_logs = ++polls_ % kPollsPerLogCheck == 0;
  std::vector<model::TaskId> ended;
  for (const auto& [task, identity] : running_) {
    if (!children_.contains(task) && !is_alive(identity)) ended.push_back(task);
    if (!checks_logs) continue;
    Paths paths = paths_of(task);
    cut_log(paths.out(), kLogBytesMax);
    cut_log(paths.err(), kLogBytesMax);
  }
  for (const model::TaskId& task : ended) {
    signal_group(running_[task], SIGKILL);
    running_.erase(task);
    on_news_(task);
  }
  if (!running_.empty()) poll_timer_.start(kPollInterval);
}

void ProcessRuntime::signal_group(const ProcessIdentity& identity, int signal) {
  if (identity.pid > 1) ::kill(-identity.pid, signal);  // a session leader's pid names its group
}

Async<Outcome<Unit>> ProcessRuntime::stop(model::TaskId task, Duration grace) {
  auto file = read_whole(paths_of(task).pid(), 4096);
  auto identity = file ? parse_process_identity(file->content) : std::nullopt;
  if (!identity || !is_alive(*identity)) co_return Unit{};
  signal_group(*identity, SIGTERM);
  Instant kill_at = loop_.now() + grace, give_up_at = kill_at + kKillPatience;
  bool was_killed = false;
  while (is_alive(*identity)) {
    Instant now = loop_.now();
    if (now >= give_up_at) co_return fail(RuntimeError{RuntimeError::Outcome::unknown, "the process survives SIGKILL"});
    if (now >= kill_at && !std::exchange(was_killed, true)) signal_group(*identity, SIGKILL);
    net::Sleep sleep(loop_, kEndPollInterval);
    co_await sleep;
  }
  co_return Unit{};
}

Async<Outcome<Unit>> ProcessRuntime::remove(model::TaskId task) {
  running_.erase(task);
  remove_tree(paths_of(task).control);
  co_return Unit{};
}

void ProcessRuntime::forget(const model::TaskId& task) { fetcher_.remove_sandbox(task); }

Async<Outcome<CommandResult>> ProcessRuntime::run_command(model::LaunchTask launch, std::string command,
                                                          Duration timeout) {
  auto options = options_for(launch);
  if (!options) co_return fail(refused(options.error().text()));
  options->arguments = {"-c", command};
  CommandRun run(loop_, timeout);
  auto spawned = run.spawn(loop_, *options);
  if (!spawned) co_return fail(refused("cannot start the command: " + describe(spawned.error())));
  std::optional<int> code = co_await run;
  if (!code) co_return fail(RuntimeError{RuntimeError::Outcome::unknown, "timed out"});
  co_return CommandResult{.exit_code = *code, .output = {}};
}

Async<std::string> ProcessRuntime::log_tail(model::TaskId task, std::size_t bytes_max) {
  Paths paths = paths_of(task);
  co_return read_log_tail(paths.out(), bytes_max / 2) + read_log_tail(paths.err(), bytes_max / 2);
}

std::unique_ptr<LogFollower> ProcessRuntime::follow_log(const model::TaskId& task, LogCallbacks callbacks) {
  Paths paths = paths_of(task);
  return std::make_unique<FileLogFollower>(
      loop_, std::vector<std::string>{paths.out(), paths.err()}, [this, task] { return running_.contains(task); },
      std::move(callbacks));
}

}  // namespace lotse::agent
