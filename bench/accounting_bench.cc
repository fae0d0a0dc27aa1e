// What a request pays for being counted: the additions, the two histogram entries, the clock of a turn, and a line of
// the access log. Run: cmake --preset release -DLOTSE_BENCH=ON && ninja -C build/release accounting_bench
#include <benchmark/benchmark.h>
#include <fcntl.h>

#include <memory>

#include "net/loop.h"
#include "proxy/access_log.h"
#include "proxy/app_stats.h"
#include "proxy/endpoint_record.h"
#include "proxy/worker_counters.h"

namespace lotse::proxy {
namespace {

// As Exchange and the connections do it for one kept-alive GET with a pooled connection.
void count_request(WorkerCounters& counters, AppWorkerStats& stats, EndpointState& endpoint) {
  counters.downstream_bytes_in.add(120);
  counters.requests.add();
  endpoint.in_flight.add();
  endpoint.requests.add();
  counters.pool_reuses.add();
  counters.upstream_bytes_in.add(1100);
  endpoint.in_flight.subtract();
  stats.requests_by_class[2].add();
  stats.body_bytes_in.add(0);
  stats.body_bytes_out.add(1024);
  counters.downstream_body_bytes_in.add(0);
  counters.downstream_body_bytes_out.add(1024);
}

struct Counted {
  WorkerCounters counters;
  AppStats app{"/app", 2};
  EndpointRecord record{model::Endpoint{}, 2};
};

void counters(benchmark::State& state) {
  Counted counted;
  for (auto _ : state) {
    count_request(counted.counters, counted.app.per_worker[0], counted.record.states[0]);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(counters);

void histograms(benchmark::State& state) {
  Counted counted;
  Duration took = std::chrono::microseconds(150);
  for (auto _ : state) {
    counted.app.per_worker[0].total.record(took);
    counted.app.per_worker[0].first_byte.record(took - std::chrono::microseconds(20));
    took = took > std::chrono::seconds(1) ? std::chrono::microseconds(150) : took + std::chrono::microseconds(7);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(histograms);

// Twice per turn of the loop, however many requests the turn serves.
void clock(benchmark::State& state) {
  SystemClock system;
  const Clock& clock = system;
  for (auto _ : state) benchmark::DoNotOptimize(clock.now());
}
BENCHMARK(clock);

void turn(benchmark::State& state) {
  net::LoopLoad load;
  SystemClock system;
  for (auto _ : state) {
    Instant began = system.now();
    load.add(system.now() - began);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(turn);

// Counted by two threads at once, each its own part: as fast as by one when no line is shared.
void counters_of_two_workers(benchmark::State& state) {
  static Counted shared;
  static std::array<WorkerCounters, 2> counters;
  auto index = static_cast<std::size_t>(state.thread_index());
  for (auto _ : state) {
    count_request(counters[index], shared.app.per_worker[index], shared.record.states[index]);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(counters_of_two_workers)->Threads(1)->Threads(2)->UseRealTime();

void access_log_line(benchmark::State& state) {
  net::Loop loop;
  AccessLog log;
  if (!log.open("/dev/null")) return state.SkipWithError("/dev/null");
  AccessLogBuffer buffer(loop, log);
  AccessLogEntry entry{.client = "203.0.113.77",
                       .method = "GET",
                       .host = "shop.example.com",
                       .path = "/api/v1/items/4711",
                       .status = 200,
                       .bytes_out = 1024,
                       .took = std::chrono::microseconds(1234),
                       .first_byte = std::chrono::microseconds(1100),
                       .app = "/shop/api",
                       .task = "shop_api.0f3b2c1d-ae1c-11ef-8f3a-0242ac110002",
                       .endpoint = "10.0.0.12:31877",
                       .attempts = 1};
  for (auto _ : state) buffer.write(entry);
}
BENCHMARK(access_log_line);

}  // namespace
}  // namespace lotse::proxy

BENCHMARK_MAIN();
