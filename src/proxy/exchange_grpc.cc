// The part of Exchange that is about gRPC: what the client reads is grpc-status, whatever the HTTP status says.
#include <charconv>
#include <utility>

#include "proxy/exchange.h"
#include "proxy/grpc.h"
#include "proxy/worker.h"

namespace lotse::proxy {

void Exchange::begin_call() {
  is_call_ = true;
  // The client's patience, from when its head was here. It counts from when it began to send: it is the first to know.
  if (auto timeout = grpc_timeout(*head_)) deadline_.set_latest(started_ + *timeout);
}

void Exchange::on_call_deadline() {
  worker_.counters().grpc_deadlines.add();
  constexpr std::string_view kText = "the time that the client gave this call is over";
  if (phase_ != Phase::responding) return answer(504, kText);
  if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon();
  if (grpc_status_ >= 0 || !head_->accepts_trailers()) return abort(kText);
  grpc_status_ = kGrpcDeadlineExceeded;
  error_ = kText;
  response_fields_.clear();
  response_fields_.push_back({"grpc-status", "4"});
  response_fields_.push_back({"grpc-message", kText});
  downstream_->send_end(response_fields_);
  finish();
}

// Nothing but a head: "Trailers-Only".
void Exchange::answer_call(int http_status, std::string_view text) {
  grpc_status_ = grpc_status_for(http_status);
  status_ = 200;
  head_was_sent_ = true;
  error_ = arena_.copy(text);
  constexpr std::size_t kDigitsMax = 2;
  char* const digits = arena_.array<char>(kDigitsMax);
  char* const end = std::to_chars(digits, digits + kDigitsMax, grpc_status_).ptr;
  text_.clear();
  append_grpc_message(error_, text_);
  response_fields_.clear();
  response_fields_.push_back({"content-type", "application/grpc"});
  response_fields_.push_back({"grpc-status", {digits, static_cast<std::size_t>(end - digits)}});
  response_fields_.push_back({"grpc-message", text_});
  ResponseOut out{.status = 200,
                  .fields = response_fields_,
                  .is_bodiless = true,
                  .content_length = 0,
                  .closes = http_status == 400 || http_status == 408};
  downstream_->send_head(out);
  downstream_->send_end({});
  finish();
}

// A status that the route's `retry` names, in a head that is all there is of the answer.
bool Exchange::retry_call() {
  if (!retry_.when_grpc[static_cast<std::size_t>(grpc_status_)] || !may_replay()) return false;
  return retry_answered("answered with a gRPC status to retry");
}

// What a call without grpc-status came to: one that was cut off has failed inside, for the client.
int Exchange::final_grpc_status() const {
  if (grpc_status_ >= 0) return grpc_status_;
  if (status_ != 200) return grpc_status_for(status_);
  return error_.empty() ? kGrpcUnknown : kGrpcInternal;
}

}  // namespace lotse::proxy
