#include "agent/agent.h"

#include <fmt/core.h>

#include <array>

#include "agent/agent_api.h"
#include "agent/data_dir.h"
#include "agent/docker_runtime.h"
#include "agent/fetcher.h"
#include "agent/metrics_text.h"
#include "agent/node_resources.h"
#include "agent/outbox.h"
#include "agent/own_address.h"
#include "agent/process_runtime.h"
#include "agent/scheduler_link.h"
#include "agent/tasks.h"
#include "base/log.h"
#include "net/loop.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

constexpr Duration kStopPoll = 20ms;

bool has_image(const model::App& app) { return app.container && !app.container->image.empty(); }

}  // namespace

Result<RuntimeChoice, Problem> parse_runtime_choice(std::string_view text) {
  if (text == "auto") return RuntimeChoice::automatic;
  if (text == "docker") return RuntimeChoice::docker;
  if (text == "process") return RuntimeChoice::process;
  return fail(Problem{"--runtime", fmt::format("\"{}\" is none of auto, docker, process", text)});
}

// Members are destroyed last to first: what speaks first, then the tasks, then what they stand on.
struct Agent::Impl {
  Impl(net::Loop& its_loop, AgentOptions its_options, AgentCallbacks its_callbacks)
      : loop(its_loop),
        options(std::move(its_options)),
        callbacks(std::move(its_callbacks)),
        stop_timer(loop.timers(), [this] { look_whether_stopped(); }) {}

  Result<net::Address, Problem> start();
  Result<http::Endpoint, Problem> check_options();
  void build(const http::Endpoint& scheduler);
  void build_tasks();
  void build_link(const http::Endpoint& scheduler);
  DockerRuntime::Callbacks docker_callbacks();

  Runtime& runtime_of(RuntimeKind kind);
  Result<RuntimeKind, Problem> choose_runtime(const model::App& app) const;
  bool runs_images() const;  // what the registration calls runtime "docker"
  bool is_listed() const;
  model::AgentRegistration registration() const;
  ContainerContext container_context() const;
  void add_status(const TaskRecord& record, DriverContext::Urgency urgency);
  void add_stray_status(const model::TaskId& task, TaskState state, const std::string& message);
  std::optional<model::TaskHealth> health_of(const model::TaskId& task) const;
  std::string metrics() const;
  void remove_unknown_sandboxes();

  void stop(std::function<void(const std::string&)> on_progress, std::function<void()> on_done);
  void look_whether_stopped();

  net::Loop& loop;
  AgentOptions options;
  AgentCallbacks callbacks;
  std::optional<DataDir> data;
  std::string host, api_address;
  NodeResources resources;
  std::unique_ptr<Outbox> outbox;
  std::unique_ptr<RecordStore> records;
  std::unique_ptr<Fetcher> fetcher;
  std::unique_ptr<ProcessRuntime> processes;
  std::unique_ptr<DockerRuntime> docker;
  bool uses_docker = true;  // false with RuntimeChoice::process, unless an earlier life left containers
  std::unique_ptr<Prober> prober;
  std::unique_ptr<Tasks> tasks;
  std::unique_ptr<SchedulerLink> link;
  std::unique_ptr<AgentApi> api;

  net::Timer stop_timer;
  std::function<void(const std::string&)> on_progress;
  std::function<void()> on_stopped;
  Instant stop_deadline{};
  std::size_t last_left = 0;
};

Result<http::Endpoint, Problem> Agent::Impl::check_options() {
  auto url = http::parse_url(options.scheduler);
  if (!url) return fail(Problem{"--scheduler", url.error().text()});
  if (!url->endpoint.unix_path.empty()) return fail(Problem{"--scheduler", "must be an http:// URL"});
  if (options.ports.first < 1 || options.ports.last > 65535 || options.ports.first > options.ports.last) {
    return fail(Problem{"--ports", fmt::format("{}-{} is no range of ports", options.ports.first, options.ports.last)});
  }
  if (options.data.empty()) return fail(Problem{"--data", "names no directory"});
  return url->endpoint;
}

Result<net::Address, Problem> Agent::Impl::start() {
  auto scheduler = check_options();
  if (!scheduler) return fail(scheduler.error());
  auto listen_address = net::Address::parse(options.listen);
  if (!listen_address) return fail(Problem{"--listen", listen_address.error().text()});
  Random random = Random::from_system();
  auto opened = DataDir::open(options.data, options.id, random);
  if (!opened) return fail(opened.error());
  data.emplace(std::move(*opened));
  outbox = std::make_unique<Outbox>(data->outbox_path());
  if (Done loaded = outbox->load(); !loaded) return fail(loaded.error());
  host = options.host.empty() ? own_address_towards(*scheduler) : options.host;

  build(*scheduler);
  auto bound = api->listen(*listen_address);
  if (!bound) return fail(Problem{options.listen, "cannot listen: " + describe(bound.error())});
  bool is_any = bound->ip() == "0.0.0.0" || bound->ip() == "::";
  api_address = is_any ? fmt::format("{}:{}", host, bound->port()) : bound->to_string();

  log::info("agent", "{} (incarnation {}, data {}) serves {} and advertises {}", data->id(), data->incarnation(),
            data->path(), bound->to_string(), host);
  tasks->load();
  uses_docker = options.runtime != RuntimeChoice::process || tasks->has_docker_records();
  if (uses_docker)
    docker->connect();
  else
    remove_unknown_sandboxes();
  link->start();
  return *bound;
}

void Agent::Impl::build(const http::Endpoint& scheduler) {
  resources = read_node_resources(data->path());
  records = std::make_unique<RecordStore>(data->records_path());
  fetcher = std::make_unique<Fetcher>(loop, data->path(), options.fetch);
  processes = std::make_unique<ProcessRuntime>(loop, data->path(), *fetcher, host,
                                               [this](const model::TaskId& task) { tasks->on_runtime_news(task); });
  docker = std::make_unique<DockerRuntime>(
      loop, options.docker_socket, [this] { return container_context(); }, *fetcher, options.docker_config,
      data->data_id(), docker_callbacks());
  prober = std::make_unique<Prober>(loop);
  build_tasks();
  build_link(scheduler);
  api = std::make_unique<AgentApi>(
      loop, *tasks, [this](RuntimeKind kind) -> Runtime& { return runtime_of(kind); }, [this] { return metrics(); });
}

DockerRuntime::Callbacks Agent::Impl::docker_callbacks() {
  return {.on_news = [this](const model::TaskId& task) { tasks->on_runtime_news(task); },
          .on_listed =
              [this, is_first = true](const std::vector<ListedContainer>& containers) mutable {
                tasks->on_containers(containers);
                if (!std::exchange(is_first, false)) return;
                remove_unknown_sandboxes();  // not before: a container may be all that is left of a task
                link->register_now();
              },
          .on_availability = [this] { link->register_now(); }};
}

void Agent::Impl::build_tasks() {
  DriverContext context{
      .loop = loop,
      .records = *records,
      .prober = *prober,
      .runtime_of = [this](RuntimeKind kind) -> Runtime& { return runtime_of(kind); },
      .host = [this] { return host; },
      .on_status = [this](const TaskRecord& record, DriverContext::Urgency urgency) { add_status(record, urgency); },
      .on_health = [this](const model::TaskId& task) { link->on_health_changed(task); }};
  Tasks::Policy policy{
      .choose_runtime = [this](const model::App& app) { return choose_runtime(app); },
      .is_listed = [this] { return is_listed(); },
      .has_unacknowledged = [this](const model::TaskId& task) { return outbox->has_status_of(task); },
      .is_short_of_disk = [this] { return is_short_of_disk(data->path()); },
      .on_stray_status = [this](const model::TaskId& task, TaskState state,
                                const std::string& message) { add_stray_status(task, state, message); }};
  tasks = std::make_unique<Tasks>(std::move(context), std::move(policy));
}

void Agent::Impl::build_link(const http::Endpoint& scheduler) {
  SchedulerLink::Callbacks link_callbacks{
      .registration = [this] { return registration(); },
      .on_launch = [this](const model::LaunchTask& launch) { tasks->launch(launch); },
      .on_kill = [this](const model::KillTask& kill) { tasks->kill(kill); },
      .health_of = [this](const model::TaskId& task) { return health_of(task); },
      .tasks_with_health =
          [this] {
            std::vector<model::TaskId> ids;
            for (const auto& [task, driver] : tasks->all()) ids.push_back(task);
            return ids;
          },
      .on_refused = callbacks.on_refused,
      .on_registered = callbacks.on_registered};
  link = std::make_unique<SchedulerLink>(loop, scheduler, options.heartbeat_interval, *data, *outbox,
                                         std::move(link_callbacks));
}

Runtime& Agent::Impl::runtime_of(RuntimeKind kind) {
  if (kind == RuntimeKind::docker) return *docker;
  return *processes;
}

bool Agent::Impl::runs_images() const {
  if (options.runtime == RuntimeChoice::process) return false;
  return options.runtime == RuntimeChoice::docker || docker->has_listed() || tasks->has_docker_records();
}

bool Agent::Impl::is_listed() const {
  if (!uses_docker || docker->has_listed()) return true;
  return options.runtime == RuntimeChoice::automatic && docker->was_tried() && !runs_images();
}

Result<RuntimeKind, Problem> Agent::Impl::choose_runtime(const model::App& app) const {
  if (!has_image(app)) {
    if (app.cmd) return RuntimeKind::process;
    return fail(Problem{"", "the app has neither a cmd nor an image: there is nothing to run"});
  }
  bool may_use_docker = options.runtime != RuntimeChoice::process;
  bool docker_answers = docker->problem().empty() || runs_images();
  if (may_use_docker && (docker_answers || !app.cmd))
    return RuntimeKind::docker;  // down: fails with Docker's own words
  if (app.cmd) return RuntimeKind::process;
  return fail(Problem{"", fmt::format("the app needs the image {}, and this agent runs plain processes only "
                                      "(--runtime process)",
                                      app.container->image)});
}

model::AgentRegistration Agent::Impl::registration() const {
  model::AgentRegistration registration;
  registration.id = data->id();
  registration.data_id = data->data_id();
  registration.incarnation = data->incarnation();
  registration.host = host;
  registration.api = api_address;
  registration.cpus = options.cpus.value_or(resources.cpus);
  registration.mem_mib = options.mem_mib.value_or(resources.mem_mib);
  registration.disk_mib = options.disk_mib.value_or(resources.disk_mib);
  registration.ports = options.ports;
  registration.attributes = options.attributes;
  registration.runtime = runs_images() ? "docker" : "process";
  registration.runtime_problem = uses_docker ? docker->problem() : "";
  registration.term = data->term();
  registration.cluster = data->cluster();
  registration.has_tasks = is_listed();
  registration.tasks = tasks->alive();
  return registration;
}

ContainerContext Agent::Impl::container_context() const {
  return {.cluster = data->cluster(),
          .agent_id = data->id(),
          .data_id = data->data_id(),
          .host = host,
          .sandbox_path = {},
          .cores = resources.cpus};
}

void Agent::Impl::add_status(const TaskRecord& record, DriverContext::Urgency urgency) {
  model::TaskStatus status;
  status.task = record.id();
  status.state = record.state;
  status.message = record.message;
  status.ip_address = record.ip_address;
  status.time = format_timestamp(loop.clock().wall());
  outbox->add(std::move(status));
  if (urgency == DriverContext::Urgency::now) return link->flush_now();
  link->on_status_added();
}

void Agent::Impl::add_stray_status(const model::TaskId& task, TaskState state, const std::string& message) {
  model::TaskStatus status;
  status.task = task;
  status.state = state;
  status.message = message;
  status.time = format_timestamp(loop.clock().wall());
  outbox->add(std::move(status));
  link->on_status_added();
}

// Only what says something: an adopted task that nobody has probed yet must not look as if it had stopped being ready.
std::optional<model::TaskHealth> Agent::Impl::health_of(const model::TaskId& task) const {
  const TaskDriver* driver = tasks->find(task);
  if (driver == nullptr || driver->record().phase != Phase::started) return std::nullopt;
  model::TaskHealth health = driver->health();
  health.task = task;
  if (health == model::TaskHealth{.task = task}) return std::nullopt;
  return health;
}

void Agent::Impl::remove_unknown_sandboxes() {
  fetcher->remove_unknown([this](const model::TaskId& task) { return tasks->find(task) != nullptr; });
}

std::string Agent::Impl::metrics() const {
  MetricsText text;
  std::map<TaskState, double> by_state;
  for (TaskState state : {TaskState::starting, TaskState::running, TaskState::killing}) by_state[state] = 0;
  for (const auto& [task, driver] : tasks->all()) ++by_state[driver->record().state];
  text.family("lotse_agent_tasks", "gauge", "Tasks by state; those that ended are kept for ten minutes.");
  for (const auto& [state, count] : by_state) text.sample(count, fmt::format("state=\"{}\"", model::to_string(state)));
  const SchedulerLink::Counters& counters = link->counters();
  text.one("lotse_agent_registered", "gauge", "1 while the scheduler accepts our heartbeats.", link->is_registered());
  text.one("lotse_agent_registration_failures_total", "counter", "Registrations and heartbeats that failed.",
           static_cast<double>(counters.registration_failures));
  text.one("lotse_agent_commands_total", "counter", "Commands taken.", static_cast<double>(counters.commands));
  text.one("lotse_agent_commands_refused_total", "counter", "Commands of a lower term or another cluster, or damaged.",
           static_cast<double>(counters.refused_commands));
  text.one("lotse_agent_status_queue", "gauge", "Statuses the scheduler has not acknowledged.",
           static_cast<double>(outbox->size()));
  text.one("lotse_agent_status_report_failures_total", "counter", "Status reports that failed.",
           static_cast<double>(counters.report_failures));
  text.one("lotse_agent_docker_up", "gauge", "1 while Docker answers.", uses_docker && docker->problem().empty());
  text.one("lotse_agent_docker_errors_total", "counter", "Docker calls without an answer, or answered with a 5xx.",
           static_cast<double>(docker->failures()));
  text.one("lotse_agent_probes_total", "counter", "Health and readiness probes.",
           static_cast<double>(prober->probes()));
  text.one("lotse_agent_probe_failures_total", "counter", "Probes that failed.",
           static_cast<double>(prober->failures()));
  const Fetcher::Counters& fetches = fetcher->counters();
  text.one("lotse_agent_fetches_total", "counter", "Tasks whose sandboxes were filled by fetching.",
           static_cast<double>(fetches.fetches));
  text.one("lotse_agent_fetch_failures_total", "counter", "Those that failed, or that nobody wanted any more.",
           static_cast<double>(fetches.failures));
  text.one("lotse_agent_fetched_bytes_total", "counter", "Bytes downloaded, copied and unpacked.",
           static_cast<double>(fetches.bytes));
  text.one("lotse_agent_fetches_waiting", "gauge", "Tasks that wait in line to fetch.",
           static_cast<double>(fetcher->waiting()));
  return text.text();
}

void Agent::Impl::stop(std::function<void(const std::string&)> progress, std::function<void()> on_done) {
  on_progress = std::move(progress);
  on_stopped = std::move(on_done);
  stop_deadline = loop.now() + options.stop_deadline;
  if (link) {
    link->stop_commands();
    link->flush_now();
  }
  if (tasks && options.kill_tasks_on_stop) {
    tasks->kill_all();
    last_left = tasks->left_to_clean();
    if (on_progress && last_left > 0)
      on_progress(fmt::format("stopping {} task{}", last_left, last_left == 1 ? "" : "s"));
  }
  stop_timer.start(Duration::zero());
}

void Agent::Impl::look_whether_stopped() {
  std::size_t left = tasks && options.kill_tasks_on_stop ? tasks->left_to_clean() : 0;
  bool gives_up = left > 0 && loop.now() >= stop_deadline;
  if (on_progress && gives_up) {
    on_progress(fmt::format("{} tasks did not end in time and are left running{}", left,
                            uses_docker && !docker->problem().empty() ? ": " + docker->problem() : ""));
  } else if (on_progress && left > 0 && left != last_left) {
    on_progress(fmt::format("{} task{} left", left, left == 1 ? "" : "s"));
  }
  last_left = left;
  if (left > 0 && !gives_up) return stop_timer.start(kStopPoll);
  if (auto done = std::move(on_stopped)) done();  // may destroy us
}

Agent::Agent(net::Loop& loop, AgentOptions options, AgentCallbacks callbacks)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(callbacks))) {}
Agent::~Agent() = default;
Result<net::Address, Problem> Agent::start() { return impl_->start(); }
void Agent::stop(std::function<void(const std::string&)> on_progress, std::function<void()> on_stopped) {
  impl_->stop(std::move(on_progress), std::move(on_stopped));
}
const std::string& Agent::id() const { return impl_->data->id(); }

}  // namespace lotse::agent
