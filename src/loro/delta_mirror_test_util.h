// SPDX-License-Identifier: Apache-2.0
//
// Delta mirror: what somebody sees who knows a document by its deltas alone, as simply as can be.
// It checks that deltas fit: ranges, nodes that exist, indexes of siblings.

#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "merrow/delta.h"
#include "merrow/document.h"

namespace merrow::loro {

class DeltaMirror {
 public:
  void Apply(const DocumentDelta& delta);

  /// Fails the test unless the document looks the same. Empty roots do not count.
  void ExpectShows(const Document& document) const;
  static nlohmann::json JsonWithoutEmptyRoots(const Document& document);
  /// The same as text, without what edits cannot bring back: ids and fractional indexes of nodes.
  static std::string LookOf(const Document& document);

 private:
  struct Scalar {
    std::string utf8;
    std::map<std::string, Value> attributes;
  };
  struct Node {
    std::vector<Id> children;
    std::optional<Id> parent;
    Bytes position;
  };
  struct Content {
    std::vector<Scalar> text;
    std::vector<Value> list;
    std::map<std::string, Value> map;
    std::map<Id, Node> nodes;
    std::vector<Id> roots;  // of a tree
    double sum = 0;
  };

  void Apply(const TextDelta& delta, Content* content);
  void Apply(const ListDelta& delta, Content* content);
  void Apply(const MapDelta& delta, Content* content);
  void Apply(const TreeDelta& delta, Content* content);
  void Apply(CounterDelta delta, Content* content) { content->sum += delta; }
  static std::vector<Id>* ChildrenOf(Content* content, const std::optional<Id>& parent);
  void ForgetUnseen();
  nlohmann::json Json() const;
  static nlohmann::json RichText(const Content& content);
  nlohmann::json JsonOf(const ContainerId& id) const;
  static nlohmann::json PlainJson(const Value& value, const DeltaMirror* mirror);
  nlohmann::json NodesJson(const Content& content, const std::vector<Id>& nodes,
                           const std::optional<Id>& parent) const;

  std::map<ContainerId, Content> containers_;
};

}  // namespace merrow::loro
