#include "agent/docker_runtime.h"

#include <fmt/core.h>

#include <charconv>

#include "base/log.h"
#include "net/awaitables.h"
#include "net/loop.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kListInterval = 60s;  // events may get lost inside Docker; Mesos reconciled every 10 minutes
constexpr Duration kListRetry = 500ms;

// Docker hears of an end from two sides: that the process ended, and that the kernel's memory killer ended it. The
// second word may come a little later, and until then inspect shows a plain SIGKILL.
constexpr Duration kOutOfMemoryDelay = 200ms;
bool may_have_run_out_of_memory(const Observation& seen) {
  return seen.kind == Observation::Kind::exited && seen.exit_code == 137 && !seen.out_of_memory;
}

std::string ownership_label(const std::string& data_id) { return fmt::format("{}={}", kLabelDataId, data_id); }

// A user given by number is the same one on both sides of the container's wall; what a name means, its image says.
std::optional<SandboxOwner> owner_in_container(const model::App& app) {
  if (!app.user) return std::nullopt;
  auto number = [](std::string_view text) -> std::optional<int> {
    int value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
  };
  std::string_view user = *app.user;
  std::size_t colon = user.find(':');
  auto uid = number(user.substr(0, colon));
  if (!uid) return std::nullopt;
  auto gid = colon == std::string_view::npos ? std::nullopt : number(user.substr(colon + 1));
  return SandboxOwner{*uid, gid.value_or(0)};
}

RuntimeError refused(std::string words) { return {RuntimeError::Outcome::refused, std::move(words)}; }

}  // namespace

DockerRuntime::DockerRuntime(net::Loop& loop, const std::string& socket_path, std::function<ContainerContext()> context,
                             Fetcher& fetcher, std::string docker_config, std::string data_id, Callbacks callbacks)
    : loop_(loop),
      context_(std::move(context)),
      fetcher_(fetcher),
      logins_(loop, std::move(docker_config)),
      data_id_(std::move(data_id)),
      callbacks_(std::move(callbacks)),
      docker_(loop, socket_path),
      list_timer_(loop.timers(), [this] { list_soon(Duration::zero()); }),
      events_(docker_, ownership_label(data_id_),
              {.on_up = [this] { on_up(); },
               .on_down = [this](const std::string& words) { on_down(words); },
               .on_event = [this](const DockerEvent& event) { on_event(event); }}) {}

void DockerRuntime::connect() { events_.start(); }

void DockerRuntime::on_up() {
  if (was_tried_ && !problem_.empty()) log::info("agent", "Docker answers again");
  was_tried_ = true;
  list_soon(Duration::zero());
}

void DockerRuntime::on_down(const std::string& words) {
  bool changed = !was_tried_ || problem_ != words;
  was_tried_ = true;
  if (!changed) return;
  problem_ = words;
  log::warn("agent", "{}", words);
  callbacks_.on_availability();
}

void DockerRuntime::on_event(const DockerEvent& event) {
  auto task = event.attributes.find(kLabelTask);
  if (task != event.attributes.end()) callbacks_.on_news(task->second);
}

void DockerRuntime::list_soon(Duration delay) {
  if (delay > Duration::zero()) return list_timer_.start(delay);
  listing_ = list();  // an older one under way is overtaken
  listing_.start();
}

Async<Unit> DockerRuntime::list() {
  auto listing = docker_.list(ownership_label(data_id_));
  auto containers = co_await listing;
  if (!containers) {
    if (events_.is_up()) list_timer_.start(kListRetry);  // else the next connection lists
    on_down(containers.error().words);                   // a daemon that hangs keeps its event stream open
    co_return Unit{};
  }
  if (!std::exchange(problem_, {}).empty()) callbacks_.on_availability();
  has_listed_ = true;
  list_timer_.start(kListInterval);
  callbacks_.on_listed(*containers);
  co_return Unit{};
}

Async<Outcome<Observation>> DockerRuntime::look(model::TaskId task) {
  auto inspecting = docker_.inspect(container_name(task));
  auto report = co_await inspecting;
  if (!report) co_return fail(report.error());
  if (*report && may_have_run_out_of_memory((*report)->seen)) {
    net::Sleep waiting(loop_, kOutOfMemoryDelay);
    co_await waiting;
    auto again = docker_.inspect(container_name(task));
    report = co_await again;
    if (!report) co_return fail(report.error());
  }
  if (!*report) co_return Observation{.kind = Observation::Kind::absent};
  auto owner = (*report)->labels.find(kLabelDataId);
  if (owner == (*report)->labels.end() || owner->second != data_id_) {
    co_return fail(refused(fmt::format("a container named {} exists and is not this agent's", container_name(task))));
  }
  co_return std::move((*report)->seen);
}

Async<Outcome<Unit>> DockerRuntime::create(model::LaunchTask launch, std::function<void(bool)> on_interruptible) {
  ContainerContext context = context_();
  context.sandbox_path = fetcher_.sandbox_of(launch.task);
  auto body = container_body(launch, context);
  if (!body) co_return fail(refused(body.error().text()));
  auto making = fetcher_.make_sandbox(launch, owner_in_container(launch.app), on_interruptible);
  auto made = co_await making;
  if (!made) co_return fail(made.error());

  std::string image = with_tag(launch.app.container->image);
  bool may_pull = true;
  for (bool pull_first = launch.app.container->force_pull_image;; pull_first = true) {
    if (pull_first) {
      on_interruptible(true);
      auto pulling = pull(image, context.sandbox_path);
      auto pulled = co_await pulling;
      on_interruptible(false);
      if (!pulled) co_return fail(pulled.error());
      may_pull = false;
    }
    auto creating = docker_.create(container_name(launch.task), *body);
    auto created = co_await creating;
    if (!created) co_return fail(created.error());
    if (*created) co_return Unit{};
    if (!may_pull) co_return fail(refused(fmt::format("No such image: {}", image)));
  }
}

// A pull leaves nothing to look for: whatever went wrong, it failed, in Docker's words.
Async<Outcome<Unit>> DockerRuntime::pull(std::string image, std::string sandbox_path) {
  auto asking = logins_.login(image, std::move(sandbox_path));
  RegistryLogin login = co_await asking;
  auto pulling = docker_.pull(image, std::move(login.field));
  auto pulled = co_await pulling;
  if (pulled) co_return Unit{};
  std::string words = fmt::format("cannot pull {}: {}", image, pulled.error().words);
  if (sounds_denied(words) && !login.words.empty()) words += fmt::format(" ({})", login.words);
  co_return fail(refused(std::move(words)));
}

Async<Outcome<Unit>> DockerRuntime::start(model::LaunchTask launch) {
  auto starting = docker_.start(container_name(launch.task));
  auto started = co_await starting;
  co_return started;
}

Async<Outcome<Unit>> DockerRuntime::stop(model::TaskId task, Duration grace) {
  auto stopping = docker_.stop(container_name(task), grace);
  auto stopped = co_await stopping;
  co_return stopped;
}

Async<Outcome<Unit>> DockerRuntime::remove(model::TaskId task) {
  auto removing = docker_.remove(container_name(task));
  auto removed = co_await removing;
  co_return removed;
}

void DockerRuntime::forget(const model::TaskId& task) { fetcher_.remove_sandbox(task); }

Async<Outcome<CommandResult>> DockerRuntime::run_command(model::LaunchTask launch, std::string command,
                                                         Duration timeout) {
  auto running = docker_.exec(container_name(launch.task), std::move(command), timeout);
  auto result = co_await running;
  co_return result;
}

Async<std::string> DockerRuntime::log_tail(model::TaskId task, std::size_t bytes_max) {
  auto reading = docker_.log_tail(container_name(task), bytes_max);
  auto text = co_await reading;
  co_return text;
}

std::unique_ptr<LogFollower> DockerRuntime::follow_log(const model::TaskId& task, LogCallbacks callbacks) {
  return docker_.follow_log(container_name(task), std::move(callbacks));
}

}  // namespace lotse::agent
