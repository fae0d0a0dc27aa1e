#include "cli/dns_arguments.h"

#include <chrono>

#include "base/clock.h"

namespace lotse::cli {

using namespace std::chrono_literals;

constexpr Duration kTtlMin = 1s, kTtlMax = 1h;

void add_dns_options(CLI::App& command, DnsArguments& arguments) {
  command
      .add_option("--dns", arguments.listen,
                  "Answer DNS queries, by UDP and TCP; without ADDR on 127.0.0.1:8053. Default: no DNS")
      ->expected(0, 1)
      ->default_str("127.0.0.1:8053")
      ->type_name("[ADDR]");
  command.add_option("--dns-domain", arguments.domain, "The domain of every name, as in web.marathon.mesos")
      ->capture_default_str()
      ->type_name("DOMAIN");
  command
      .add_option("--dns-ttl", arguments.ttl,
                  "How long clients may keep an answer; a task is stopped no sooner after it left DNS")
      ->capture_default_str()
      ->type_name("DURATION");
}

Result<Unit, Problem> resolve(const DnsArguments& arguments, scheduler::SchedulerOptions& options) {
  auto ttl = parse_duration(arguments.ttl);
  if (!ttl || *ttl < kTtlMin || *ttl > kTtlMax || *ttl % 1s != 0s) {
    return fail(
        Problem{"--dns-ttl", "\"" + arguments.ttl + "\" is no TTL; write whole seconds up to an hour, as in 5s"});
  }
  options.dns.listen = arguments.listen;
  options.dns.domain = arguments.domain;
  options.dns.ttl = *ttl;
  return Unit{};
}

}  // namespace lotse::cli
