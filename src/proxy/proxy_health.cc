// The proxy's main thread and active health: verdicts of the HealthChecker out to the workers, and to whoever reports
// which tasks are not usable yet.
#include <utility>

#include "proxy/proxy_impl.h"

namespace lotse::proxy {

void Proxy::Impl::make_checker() {
  checker = std::make_unique<HealthChecker>(main_loop, *registry, Random::from_system(), [this] {
    // Once for what one turn of the loop brings: a table of thousands passes its first checks together.
    if (std::exchange(verdicts_are_due, true)) return;
    post_to_main([this] { on_health_verdict(); });
  });
}

void Proxy::Impl::on_health_verdict() {
  verdicts_are_due = false;
  if (workers.empty()) return;
  RoutingUpdate update = registry->take_marked();
  auto tell = [this] {
    if (checker->take_pending_changed() && on_pending_changed) on_pending_changed();
  };
  // Usable is who has passed and whom every worker knows to have.
  if (update.empty()) return tell();
  broadcast(std::move(update), tell);
}

}  // namespace lotse::proxy
