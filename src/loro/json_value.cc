// SPDX-License-Identifier: Apache-2.0
#include "loro/json_value.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace merrow::loro {
namespace {

using Json = nlohmann::json;

// Builds the value from the parser's events.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Result<Value> Take() {
    if (error_.has_value()) return *error_;
    return std::move(result_);
  }

  bool null() override { return Put(Value()); }
  bool boolean(bool value) override { return Put(Value(value)); }
  bool number_integer(number_integer_t value) override { return Put(Value(int64_t{value})); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Fail(InvalidArgument(std::to_string(value) + " does not fit 64 bits with sign"));
    }
    return Put(Value(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return Put(Value(value)); }
  bool string(string_t& value) override { return Put(Value(std::move(value))); }
  bool binary(binary_t&) override { return Fail(InvalidArgument("binary is not JSON")); }

  bool start_object(size_t) override { return Open(Value(Value::Map())); }
  bool start_array(size_t) override { return Open(Value(Value::List())); }
  bool key(string_t& key) override {
    keys_.back() = std::move(key);
    return true;
  }
  bool end_object() override {
    Value::Map& map = *open_.back().If<Value::Map>();
    // Of equal keys the last one counts.
    std::reverse(map.begin(), map.end());
    std::stable_sort(map.begin(), map.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    map.erase(std::unique(map.begin(), map.end(),
                          [](const auto& a, const auto& b) { return a.first == b.first; }),
              map.end());
    return Close();
  }
  bool end_array() override { return Close(); }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(InvalidArgument("not JSON at byte " + std::to_string(position)));
  }

 private:
  bool Fail(Error error) {
    error_ = std::move(error);
    return false;
  }

  bool Open(Value container) {
    if (open_.size() >= static_cast<size_t>(kValueDepthMax)) {
      return Fail(LimitReached("a value is nested deeper than " + std::to_string(kValueDepthMax)));
    }
    open_.push_back(std::move(container));
    keys_.emplace_back();
    return true;
  }

  bool Close() {
    Value value = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return Put(std::move(value));
  }

  bool Put(Value value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (auto* list = open_.back().If<Value::List>()) {
      list->push_back(std::move(value));
    } else {
      open_.back().If<Value::Map>()->emplace_back(std::move(keys_.back()), std::move(value));
    }
    return true;
  }

  std::vector<Value> open_;        // lists and maps around what is being read
  std::vector<std::string> keys_;  // of each, the key read last
  Value result_;
  std::optional<Error> error_;
};

}  // namespace

Result<Value> ParseJsonValue(std::string_view json) {
  Builder builder;
  Json::sax_parse(json, &builder);
  return builder.Take();
}

}  // namespace merrow::loro
