// The proxy's main thread and passive health: reports of the workers in, verdicts of the OutlierDetector out.
#include <algorithm>

#include "base/log.h"
#include "proxy/proxy_impl.h"

namespace lotse::proxy {

namespace {

const char* text_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::status_5xx:
      return "failures";
    case FailureKind::gateway:
      return "gateway failures";
    case FailureKind::connect:
      return "failures to connect";
  }
  return "";
}

}  // namespace

void Proxy::Impl::make_detector() {
  OutlierDetector::Listener listener{
      .on_ejected =
          [](const Ejection& ejection) {
            const EndpointRecord& record = ejection.record;
            log::warn("proxy", "endpoint {} (task {}) of app {} is ejected for {}: {} {} in a row", record.address_text,
                      record.endpoint.task, record.endpoint.app, format_duration(ejection.time), ejection.failures,
                      text_of(ejection.kind));
          },
      .on_returned =
          [](const EndpointRecord& record) {
            log::info("proxy", "endpoint {} (task {}) of app {} is no longer ejected", record.address_text,
                      record.endpoint.task, record.endpoint.app);
          }};
  detector = std::make_unique<OutlierDetector>(*registry, std::move(listener));
}

void Proxy::Impl::on_failures(const std::vector<FailureReport>& reports) {
  apply_verdicts(detector->on_failures(reports, main_loop.clock().now()));
}

void Proxy::Impl::let_ejected_back() { apply_verdicts(detector->let_back(main_loop.clock().now())); }

void Proxy::Impl::apply_verdicts(RoutingUpdate update) {
  if (!update.empty()) broadcast(std::move(update), nullptr);
  auto next = detector->next_return();
  if (!next) return return_timer.stop();
  // The wheel counts from the loop's time, which may be a little behind the clock's.
  return_timer.start(std::max<Duration>(*next - main_loop.now(), Duration::zero()));
}

}  // namespace lotse::proxy
