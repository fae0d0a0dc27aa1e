#include "dns/rate_limit.h"

#include <functional>

namespace lotse::dns {

bool RateLimit::takes(std::string_view ip, Instant now) {
  if (per_second_ == 0 || ip.starts_with("127.") || ip == "::1") return true;
  const std::string_view network = ip.find(':') == ip.npos ? ip.substr(0, ip.rfind('.')) : ip;
  Bucket& bucket = buckets_[std::hash<std::string_view>{}(network) % buckets_.size()];
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  if (bucket.second != second) bucket = {second, 0};
  if (bucket.count >= per_second_) return false;
  ++bucket.count;
  return true;
}

}  // namespace lotse::dns
