// ProxyInstance in a takeover, as the new process and as the old one. Who says what when: proxy/handover.h.
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "cli/proxy_instance.h"

namespace lotse::cli {

// The new side ------------------------------------------------------------------------------------------------------

proxy::TakeoverMessage ProxyInstance::ready_message() const {
  proxy::TakeoverMessage message;
  message.adopted = proxy_.inherited_listeners();
  message.adopts_admin = admin_.is_inherited();
  return message;
}

void ProxyInstance::begin_accepting() {
  proxy_.begin_accepting();
  admin_.begin_accepting();
  discovery_->set_saving(true);
  loader_->set_on_loading([this](bool begins) {
    if (service_.on_loading) service_.on_loading(begins);
  });
  loader_->watch();
  if (auto listening = handover_->listen(); !listening) log::warn("proxy", "{}", listening.error().text());
}

void ProxyInstance::give_back() {
  if (std::exchange(is_draining_, true)) return drain_at_once();
  is_handed_over_ = true;
  handover_->stop("the process before has taken back");
  discovery_->set_saving(false);
  admin_.hold();
  proxy_.hand_over(proxy_.inherited_listeners(), config_->timeouts.drain, [this] { on_drained_(); });
  proxy_.end_trial();
}

// The old side ------------------------------------------------------------------------------------------------------

proxy::TakeoverGoods ProxyInstance::copies_of_goods() {
  proxy::TakeoverGoods goods;
  goods.lock = data_->copy_of_lock();
  goods.takeovers = proxy_.takeovers();
  goods.ticket_keys = proxy_.ticket_keys();
  goods.until_ticket_rotation = std::chrono::duration_cast<std::chrono::seconds>(proxy_.until_ticket_rotation());
  goods.listeners = proxy_.copies_of_sockets();
  goods.admin_address = admin_.wanted_address();
  goods.admin = admin_.copy_of_socket();
  return goods;
}

void ProxyInstance::on_yield(const proxy::TakeoverMessage& ready) {
  is_draining_ = is_handed_over_ = true;
  if (before_us_) before_us_->release();
  discovery_->set_saving(false);
  if (ready.adopts_admin) admin_.hold();
  proxy_.hand_over(ready.adopted, config_->timeouts.drain, [this] { on_drained_(); });
}

void ProxyInstance::on_take_back() {
  log::warn("proxy", "accepting again");
  is_draining_ = is_handed_over_ = false;
  discovery_->set_saving(true);
  admin_.begin_accepting();
  proxy_.take_back();
  if (service_.on_main_process) service_.on_main_process(getpid());
  loader_->reload();  // what was edited meanwhile
}

void ProxyInstance::on_trial_over(pid_t successor) {
  if (service_.on_main_process) service_.on_main_process(successor);
  proxy_.end_trial();
}

void ProxyInstance::on_takeover_failed(const std::string& why) {
  proxy_.count_takeover_failure();
  log::error("proxy", "nobody took over, this process serves on: {}", why);
  successor_.give_up();
}

void ProxyInstance::on_successor_ended(pid_t pid, const std::string& how) {
  if (is_draining_ || (pid != -1 && handover_->last_asked() == pid)) return;  // told already
  proxy_.count_takeover_failure();
  log::error("proxy", "nobody took over, this process serves on: the new process {} ended: {}", pid, how);
}

void ProxyInstance::on_leaving() {
  if (before_us_) before_us_->release();
  if (handover_) handover_->stop("the running process is ending");
  if (service_.on_draining && !is_handed_over_) service_.on_draining();
}

}  // namespace lotse::cli
