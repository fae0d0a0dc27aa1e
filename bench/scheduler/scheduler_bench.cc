// What the scheduler costs, figure by figure: scheduler_bench [FIGURE...]. Each line names what was done and what it
// took; exit status 1 when a figure misses its aim.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "bench/scheduler/live_cluster.h"
#include "bench/scheduler/pure_cluster.h"
#include "model/app_json.h"

// What SQLite calls at each commit. While a figure wants a disk that takes a known time, this is that disk.
static std::atomic<long> sync_nanoseconds{0};
extern "C" int fdatasync(int) {
  const timespec time{0, sync_nanoseconds.load()};
  return ::nanosleep(&time, nullptr);
}

namespace lotse::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

bool missed = false;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

void say(const char* figure, double value, const char* unit, double aim) {
  const bool is_met = value <= aim;
  missed |= !is_met;
  std::printf("%-58s %10.2f %-6s aim %g%s\n", figure, value, unit, aim, is_met ? "" : "  MISSED");
  std::fflush(stdout);
}

// 5,000 agents, 100,000 tasks: placed, launched, reported running and healthy, and every word of it stored.
void placement() {
  const std::string folder = make_folder();
  {
    PureCluster cluster(folder, {});
    cluster.register_agents();
    const double cpu = cpu_seconds();
    const std::size_t heap = heap_bytes();
    const auto start = SteadyClock::now();
    cluster.deploy_all();
    const double used = cpu_seconds() - cpu;
    const auto tasks = static_cast<double>(cluster.state().tasks.size());
    CHECK(tasks == 100'000);
    say("placement: 100,000 tasks on 5,000 agents, CPU", used, "s", 20);
    std::printf("  wall %.2f s, %llu steps, %llu commits of %llu transactions\n", seconds_since(start),
                static_cast<unsigned long long>(cluster.steps()),
                static_cast<unsigned long long>(cluster.store().commits),
                static_cast<unsigned long long>(cluster.store().transactions));
    say("memory: heap per task (its share of its app's too)", static_cast<double>(heap_bytes() - heap) / tasks, "bytes",
        4096);
    const double before = cpu_seconds();
    cluster.heartbeats();
    say("heartbeats: one round of 5,000 agents, 20 tasks each, CPU", (cpu_seconds() - before) * 1e3, "ms", 1000);
  }
  remove_folder(folder);
}

void start() {
  const std::string folder = make_folder();
  {
    PureCluster cluster(folder, {.agents = 500, .apps = 1000, .instances = 10});
    cluster.register_agents();
    cluster.deploy_all();
  }
  {
    net::Loop loop;
    const auto begin = SteadyClock::now();
    scheduler::StoreRecords records;
    auto store = scheduler::Store::open(loop, {.directory = folder}, records);
    CHECK(store);
    auto state = scheduler::restore(records, (*store)->term(), (*store)->cluster(), {}, loop.clock().both());
    CHECK(state && state->tasks.size() == 10'000);
    say("start: 1,000 apps and 10,000 tasks read, wall", seconds_since(begin), "s", 1);
  }
  remove_folder(folder);
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// What clients read all day, at 1,000 apps and 10,000 tasks.
void apps() {
  const std::string folder = make_folder();
  {
    LiveCluster cluster(folder);
    cluster.deploy(1000, 10);
    for (const char* query : {"", "?embed=apps.tasks"}) {
      std::vector<double> times;
      std::size_t bytes = 0;
      for (int i = 0; i < 15; ++i) {
        const auto begin = SteadyClock::now();
        bytes = cluster.fetch("GET", std::string("/v2/apps") + query).body.size();
        times.push_back(seconds_since(begin) * 1e3);
      }
      say(("GET /v2/apps" + std::string(query) + ", 1,000 apps, 10,000 tasks, median").c_str(), median_of(times), "ms",
          *query == 0 ? 50 : 150);
      std::printf("  %.1f MB\n", static_cast<double>(bytes) / 1e6);
    }
  }
  remove_folder(folder);
}

// From the moment an agent sends a task's health to the moment the change is decoded at a proxy, at 10,000 tasks.
void latency() {
  const std::string folder = make_folder();
  {
    LiveCluster cluster(folder);
    cluster.deploy(1000, 10);
    std::vector<double> times;
    bool is_alive = false;
    for (int i = 0; i < 500; ++i) {
      LiveAgent& agent = *cluster.agents()[static_cast<std::size_t>(i / 2) % cluster.agents().size()];
      const model::TaskId task = agent.tasks().begin()->first;
      bool has_come = false;
      cluster.proxy().on_update = [&](const model::RouteUpdate& update) {
        for (const model::Endpoint& endpoint : update.set) has_come |= endpoint.task == task;
      };
      const auto begin = SteadyClock::now();
      agent.report_health(task, is_alive);
      cluster.run_until([&] { return has_come; });
      times.push_back(seconds_since(begin) * 1e3);
      is_alive = !is_alive;
    }
    cluster.proxy().on_update = {};
    say("agent's status -> route update at a proxy, median of 500", median_of(times), "ms", 5);
    std::sort(times.begin(), times.end());
    std::printf("  99th percentile %.2f ms\n", times[times.size() * 99 / 100]);
  }
  remove_folder(folder);
}

// Scale-ups of ever other apps, each acknowledged, launched, and reported running by its agent; 64 clients at once.
void changes() {
  const std::string folder = make_folder();
  {
    LiveCluster cluster(folder);
    cluster.deploy(1000, 1);
    sync_nanoseconds = 1'000'000;
    int sent = 0, acknowledged = 0, refused = 0;
    const auto begin = SteadyClock::now();
    std::function<void()> put = [&] {
      if (seconds_since(begin) > 5) return;
      const int number = sent % 1000, instances = 2 + sent / 1000 % 2;
      ++sent;
      cluster.send("PUT", "/v2/apps" + bench_app(number, 1).id, "{\"instances\":" + std::to_string(instances) + "}",
                   [&](const http::ClientResponse& answer) {
                     ++(answer.status == 200 ? acknowledged : refused);
                     put();
                   });
    };
    for (int i = 0; i < 64; ++i) put();
    cluster.run_until([&] { return acknowledged + refused == sent; });
    const double rate = acknowledged / seconds_since(begin);
    sync_nanoseconds = 0;
    cluster.settle();
    say("app changes, disk of 1 ms: time of a thousand acknowledged", 1000 / rate, "s", 1);
    std::printf("  %.0f/s; %d acknowledged, %d refused\n", rate, acknowledged, refused);
  }
  remove_folder(folder);
}

struct Figure {
  const char* name;
  void (*run)();
};
constexpr Figure kFigures[] = {
    {"placement", placement}, {"start", start}, {"apps", apps}, {"latency", latency}, {"changes", changes}};

}  // namespace
}  // namespace lotse::bench

int main(int count, char** arguments) {
  const std::vector<std::string> wanted(arguments + 1, arguments + count);
  for (const auto& figure : lotse::bench::kFigures) {
    bool is_wanted = wanted.empty();
    for (const std::string& name : wanted) is_wanted |= name == figure.name;
    if (is_wanted) figure.run();
  }
  return lotse::bench::missed ? 1 : 0;
}
