// What the old and the new process say to each other in a takeover: one JSON object per message of the socket in the
// data directory. Old and new are different versions of this program: members that we do not know are ignored, and so
// are messages of an unknown kind; those that we know must be as we know them. A value and its codec; no I/O.
// Who says what when: docs/decisions/0009-binary-upgrade.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lotse::proxy {

inline constexpr int kTakeoverFormatLeast = 1, kTakeoverFormatMost = 1;  // that this program speaks
inline constexpr std::size_t kTakeoverMessageBytesMax = 64 * 1024;

struct TakeoverMessage {
  enum class Kind : std::uint8_t {
    unknown,   // of a later version
    hello,     // new: asks for everything
    refused,   // either: why it ends here; the old one goes on
    offer,     // old: what follows; carries the lock of the data directory
    sockets,   // old: some of a listener's; carries them
    complete,  // old: that was all
    ready,     // new: could serve at once
    yours,     // old: has stopped accepting
    done,      // new: accepts
    main,      // old: leaves; the new one answers for the service from now on
    released,  // new: has handed on to its own successor; the old one need not be there for it any more
  };
  Kind kind = Kind::unknown;
  int format_least = kTakeoverFormatLeast, format_most = kTakeoverFormatMost;  // hello
  std::string version;                                                         // hello, offer: for logs
  int format = kTakeoverFormatLeast;                                           // offer: what both speak
  std::uint64_t takeovers = 0;                // offer: how many there were before this one, process by process
  std::string ticket_keys;                    // offer: bytes of TlsTicketKeys::serialize(), empty: none
  std::uint64_t ticket_rotation_seconds = 0;  // offer: until the keys are rotated
  std::string listener;                       // sockets: the address as configured
  bool is_admin = false;                      // sockets: of the admin pages
  std::vector<std::string> adopted;           // ready: listeners (addresses) that the new one serves; others may go
  bool adopts_admin = false;                  // ready
  std::string why;                            // refused
  bool operator==(const TakeoverMessage&) const = default;
};

std::string serialize(const TakeoverMessage& message);
Result<TakeoverMessage, Problem> parse_takeover_message(std::string_view text);

}  // namespace lotse::proxy
