// One check of one endpoint: connects, asks, says once what came of it. Knows nothing of thresholds or verdicts. Owned
// by the HealthChecker, which keeps the time; destroying it cancels. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/config.h"
#include "proxy/endpoint_record.h"

namespace lotse::http {
class Client;
}

namespace lotse::proxy {

class HealthProbe {
 public:
  virtual ~HealthProbe() = default;
};

// `on_done` comes from the loop, once, never from inside the call, and may destroy the probe. An empty problem: passed.
using OnProbed = std::function<void(std::string problem)>;
std::unique_ptr<HealthProbe> start_probe(http::Client& client, const EndpointRecord& record, const HealthCheck& check,
                                         OnProbed on_done);

}  // namespace lotse::proxy
