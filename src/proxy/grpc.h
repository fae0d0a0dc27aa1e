// What the proxy knows of gRPC (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): which requests are
// calls, how long they may take, and how an answer of ours is told to a client that reads grpc-status only. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/message.h"

namespace lotse::proxy {

inline constexpr int kGrpcStatuses = 17;  // 0 (OK) to 16 (UNAUTHENTICATED)
enum GrpcStatus : std::uint8_t {          // those that we give
  kGrpcOk = 0,
  kGrpcCancelled = 1,
  kGrpcUnknown = 2,
  kGrpcDeadlineExceeded = 4,
  kGrpcPermissionDenied = 7,
  kGrpcResourceExhausted = 8,
  kGrpcUnimplemented = 12,
  kGrpcInternal = 13,
  kGrpcUnavailable = 14,
  kGrpcUnauthenticated = 16,
};

// A POST whose content-type is application/grpc, with or without a "+codec". Not gRPC-Web, which has a framing of its
// own.
bool is_grpc_call(const http::RequestHead& head);

// `grpc-timeout: 250m`: at most eight digits and a unit. What is malformed says nothing.
std::optional<Duration> grpc_timeout(const http::RequestHead& head);

// The first field grpc-status among `fields`; what is no status that gRPC knows is UNKNOWN. nullopt: there is none.
std::optional<int> grpc_status_of(std::span<const http::Field> fields);

// For an answer without grpc-status (doc/http-grpc-status-mapping.md); a 504 of ours says that the time is up.
int grpc_status_for(int http_status);
int grpc_status_from_name(std::string_view name);  // "unavailable", "deadline-exceeded"; -1: no such status
std::string_view grpc_status_name(int status);     // from 0 to 16

// grpc-message is percent-encoded: what is not printable ASCII, and "%".
void append_grpc_message(std::string_view text, std::string& to);

}  // namespace lotse::proxy
