#include "scheduler/server/label_selector.h"

#include <algorithm>

namespace lotse::scheduler {
namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool is_at_end() {
    skip_space();
    return at_ == text_.size();
  }
  bool take(std::string_view token) {
    skip_space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  bool take_word(std::string_view word) {  // a keyword: what follows must not continue it
    skip_space();
    std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(word) || rest.size() == word.size()) return false;
    char next = rest[word.size()];
    if (next != ' ' && next != '(') return false;
    at_ += word.size();
    return true;
  }
  std::string take_text() {  // a name or value; empty: none is here
    skip_space();
    std::string out;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\\' && at_ + 1 < text_.size()) {
        out += text_[at_ + 1];
        at_ += 2;
        continue;
      }
      if (c == ' ' || c == ',' || c == '!' || c == '=' || c == '(' || c == ')') break;
      out += c;
      ++at_;
    }
    return out;
  }
  Problem problem(std::string what) const { return {"", std::move(what) + " at character " + std::to_string(at_ + 1)}; }

 private:
  void skip_space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<LabelSelector, Problem> LabelSelector::parse(std::string_view text) {
  LabelSelector selector;
  Scanner scanner(text);
  do {
    Term term;
    term.is_negated = scanner.take("!");
    term.name = scanner.take_text();
    if (term.name.empty()) return fail(scanner.problem("a label name is expected"));
    bool is_equal = !term.is_negated && scanner.take("==");
    bool is_unequal = !term.is_negated && !is_equal && scanner.take("!=");
    if (is_equal || is_unequal) {
      term.is_negated = is_unequal;
      term.values.push_back(scanner.take_text());
    } else if (bool is_in = !term.is_negated && scanner.take_word("in"); is_in || scanner.take_word("notin")) {
      if (!is_in && term.is_negated) return fail(scanner.problem("an operator after '!' is not possible"));
      term.is_negated = !is_in;
      if (!scanner.take("(")) return fail(scanner.problem("'(' is expected"));
      do {
        term.values.push_back(scanner.take_text());
      } while (scanner.take(","));
      if (!scanner.take(")")) return fail(scanner.problem("')' is expected"));
    } else {
      term.wants_any_value = true;
    }
    selector.terms_.push_back(std::move(term));
  } while (scanner.take(","));
  if (!scanner.is_at_end()) return fail(scanner.problem("',' is expected"));
  return selector;
}

bool LabelSelector::matches(const model::Labels& labels) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    auto found = labels.find(term.name);
    // As in Marathon: an app without the label matches neither `a!=x` nor `a notin (x)`.
    if (found == labels.end()) return term.wants_any_value && term.is_negated;
    bool holds =
        term.wants_any_value || std::find(term.values.begin(), term.values.end(), found->second) != term.values.end();
    return holds != term.is_negated;
  });
}

}  // namespace lotse::scheduler
