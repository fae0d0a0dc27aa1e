// "Done, or a Problem for people": what most of the agent's steps answer.
#pragma once

#include "base/async.h"
#include "base/result.h"

namespace lotse::agent {

using Done = Result<Unit, Problem>;

}  // namespace lotse::agent
