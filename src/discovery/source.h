// What a source of endpoints says, and to whom. A source (scheduler, static, table on disk) knows only its sink; the
// Catalog is the sink, one per source. Values are handed over as shared immutable endpoints. Main thread of the proxy.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "model/routes.h"

namespace lotse::discovery {

using EndpointPtr = std::shared_ptr<const model::Endpoint>;

struct SourceUpdate {  // `set` is taken before `gone`
  std::vector<model::Endpoint> set;
  std::vector<model::GoneTask> gone;
};

class SourceSink {
 public:
  // `on_applied` comes once everything up to here has reached all workers; never when the sink's owner has gone before.
  virtual void on_update(SourceUpdate update, std::function<void()> on_applied) = 0;
  // All there is. It is taken as a difference; `missing` is why endpoints that it lacks have gone.
  virtual void on_snapshot(std::vector<model::Endpoint> endpoints, model::GoneWhy missing,
                           std::function<void()> on_applied) = 0;
  // False: the source's last word is not known to be true any more. It is kept.
  virtual void on_contact(bool is_current) = 0;

 protected:
  ~SourceSink() = default;
};

}  // namespace lotse::discovery
