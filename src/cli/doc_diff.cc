// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc diff`: two documents compared, first as sets of ops, then as JSON, by path. Of two
// lists or long texts the equal start and end are left out, and what is between them is shown as
// one difference (or, of lists of one length, item by item).
//
// Nesting is kept on an explicit stack, and below kDepthMax a subtree is compared as a whole.
#include <algorithm>
#include <ostream>

#include "cli/doc_tools.h"
#include "loro/utf8.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;

constexpr size_t kDepthMax = 64;
// Of two texts no longer than this nothing is left out.
constexpr size_t kWholeTextBytes = 40;
constexpr loro::PeerId kReader = 0;

// a == b, without recursion.
bool Same(const Json& left, const Json& right) {
  std::vector<std::pair<const Json*, const Json*>> stack = {{&left, &right}};
  while (!stack.empty()) {
    const auto [a, b] = stack.back();
    stack.pop_back();
    if (!a->is_structured() || a->type() != b->type()) {
      if (a->is_structured() || b->is_structured() || *a != *b) return false;
      continue;
    }
    if (a->size() != b->size()) return false;
    for (auto i = a->begin(), j = b->begin(); i != a->end(); ++i, ++j) {
      if (a->is_object() && i.key() != j.key()) return false;
      stack.push_back({&*i, &*j});
    }
  }
  return true;
}

class JsonDiff {
 public:
  JsonDiff(uint64_t limit, std::ostream& out) : limit_(limit), out_(out) {}

  void Compare(const Json& a, const Json& b) {
    stack_.push_back({"", 0, &a, &b});
    while (!stack_.empty()) {
      const Pair pair = std::move(stack_.back());
      stack_.pop_back();
      if (Same(*pair.a, *pair.b)) continue;
      if (pair.depth < kDepthMax && pair.a->is_object() && pair.b->is_object()) {
        CompareObjects(pair);
      } else if (pair.depth < kDepthMax && pair.a->is_array() && pair.b->is_array()) {
        CompareArrays(pair);
      } else if (pair.a->is_string() && pair.b->is_string()) {
        CompareTexts(pair);
      } else {
        Report(pair.path, PreviewJson(*pair.a) + " -> " + PreviewJson(*pair.b));
      }
    }
    if (count_ > limit_) out_ << "(" << Counted(count_ - limit_, "more difference") << ")\n";
  }

  uint64_t count() const { return count_; }

 private:
  struct Pair {
    std::string path;
    size_t depth;
    const Json* a;
    const Json* b;
  };

  void Report(const std::string& path, const std::string& difference) {
    if (++count_ <= limit_)
      out_ << "  " << (path.empty() ? "/" : path) << "  " << difference << '\n';
  }

  static std::string Below(const std::string& path, std::string_view key) {
    constexpr size_t kKeyScalars = 40;
    const size_t shown = loro::BytesOfScalars(key, kKeyScalars);
    return path + "/" + Printable(key.substr(0, shown)) + (shown < key.size() ? "..." : "");
  }

  // Pairs are pushed last first, so that they come out in order; what only one has comes before.
  void CompareObjects(const Pair& pair) {
    std::vector<Pair> common;
    for (const auto& [key, value] : pair.a->items()) {
      const auto other = pair.b->find(key);
      if (other == pair.b->end()) {
        Report(Below(pair.path, key), "only in A: " + PreviewJson(value));
      } else {
        common.push_back({Below(pair.path, key), pair.depth + 1, &value, &*other});
      }
    }
    for (const auto& [key, value] : pair.b->items()) {
      if (!pair.a->contains(key)) {
        Report(Below(pair.path, key), "only in B: " + PreviewJson(value));
      }
    }
    std::move(common.rbegin(), common.rend(), std::back_inserter(stack_));
  }

  void CompareArrays(const Pair& pair) {
    const size_t shorter = std::min(pair.a->size(), pair.b->size());
    size_t start = 0;
    while (start < shorter && Same((*pair.a)[start], (*pair.b)[start])) ++start;
    if (pair.a->size() == pair.b->size()) {
      for (size_t i = shorter; i-- > start;) {
        stack_.push_back(
            {pair.path + "/" + std::to_string(i), pair.depth + 1, &(*pair.a)[i], &(*pair.b)[i]});
      }
      return;
    }
    size_t end = 0;
    while (end < shorter - start &&
           Same((*pair.a)[pair.a->size() - 1 - end], (*pair.b)[pair.b->size() - 1 - end])) {
      ++end;
    }
    Report(pair.path + "/" + std::to_string(start),
           Items(*pair.a, start, end) + " -> " + Items(*pair.b, start, end));
  }

  static std::string Items(const Json& array, size_t start, size_t end) {
    const size_t count = array.size() - start - end;
    std::string text = Counted(count, "item") + " [";
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) text += ",";
      if (text.size() >= kPreviewBytes) {
        text += "...";
        break;
      }
      text += PreviewJson(array[start + i]);
    }
    return text + "]";
  }

  void CompareTexts(const Pair& pair) {
    const std::string_view a = pair.a->get_ref<const std::string&>();
    const std::string_view b = pair.b->get_ref<const std::string&>();
    if (std::max(a.size(), b.size()) <= kWholeTextBytes) {
      Report(pair.path, PreviewText(a) + " -> " + PreviewText(b));
      return;
    }
    const size_t shorter = std::min(a.size(), b.size());
    size_t start = 0;
    while (start < shorter && a[start] == b[start]) ++start;
    // Back to the start of a scalar, in either.
    while (start > 0 && ((start < a.size() && !loro::IsScalarStart(a[start])) ||
                         (start < b.size() && !loro::IsScalarStart(b[start])))) {
      --start;
    }
    size_t end = 0;
    while (end < shorter - start && a[a.size() - 1 - end] == b[b.size() - 1 - end]) ++end;
    while (end > 0 && (!loro::IsScalarStart(a[a.size() - end]))) --end;
    Report(pair.path, "at " + std::to_string(loro::CountScalars(a.substr(0, start))) + ": " +
                          PreviewText(a.substr(start, a.size() - start - end)) + " -> " +
                          PreviewText(b.substr(start, b.size() - start - end)));
  }

  const uint64_t limit_;
  std::ostream& out_;
  std::vector<Pair> stack_;
  uint64_t count_ = 0;
};

struct Side {
  loro::Document doc{kReader};
  std::vector<loro::IdSpan> pending;
  Json json;
};

Status OpenSide(const std::string& file, DocIo& io, Side* side) {
  MERROW_ASSIGN(side->pending, ImportDocFiles({file}, io, &side->doc));
  side->json = Json::parse(side->doc.ToJson(), nullptr, false);
  MERROW_CHECK(!side->json.is_discarded());
  return {};
}

void PrintOps(std::string_view title, const std::vector<loro::IdSpan>& spans, std::ostream& out) {
  uint64_t atoms = 0;
  for (const loro::IdSpan& span : spans) atoms += static_cast<uint64_t>(span.length());
  out << "only in " << title << ": " << Counted(atoms, "atom");
  if (atoms > 0) out << ": " << FormatSpans(spans);
  out << '\n';
}

}  // namespace

Status DocDiff(const std::string& a, const std::string& b, uint64_t limit, DocIo& io) {
  MERROW_TRY(CheckInputs({a, b}));
  Side left;
  Side right;
  MERROW_TRY(OpenSide(a, io, &left));
  MERROW_TRY(OpenSide(b, io, &right));
  io.out << "A: " << InputName(a) << "\nB: " << InputName(b) << '\n';
  PrintOps("A", left.doc.version().SpansNotIn(right.doc.version()), io.out);
  PrintOps("B", right.doc.version().SpansNotIn(left.doc.version()), io.out);
  if (Same(left.json, right.json)) {
    io.out << "the JSON is equal\n";
  } else {
    io.out << "differences of the JSON, A -> B:\n";
    JsonDiff(limit, io.out).Compare(left.json, right.json);
  }
  for (const auto& [side, file] : {std::pair(&left, &a), std::pair(&right, &b)}) {
    if (side->pending.empty()) continue;
    return Conflict(InputName(*file) + ": ops that depend on others that it does not have: " +
                    FormatSpans(side->pending));
  }
  return {};
}

}  // namespace merrow::cli
