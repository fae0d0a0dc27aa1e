// One place where libuv's codes (which are -errno on Unix) become what the program decides on.
#pragma once

#include "base/result.h"

namespace lotse::net {

// `retry` says what is safe to assume of a connection that was in use; a connect that failed sets it to `always`.
Error error_from_uv(int code);
Error error_from_errno();  // of the system call that has just failed

}  // namespace lotse::net
