// SPDX-License-Identifier: Apache-2.0
//
// The wrapper around every state, and the counter, whose state is one f64le.
#include "loro/state_codec.h"

#include <string>

#include "loro/container_id_codec.h"

namespace merrow::loro {

Result<StateWrapper> DecodeStateWrapper(BytesView bytes) {
  ByteReader reader(bytes);
  StateWrapper wrapper;
  MERROW_ASSIGN(const uint8_t kind, reader.U8());
  if (kind > kContainerKindMax) return reader.Fail("container kind " + std::to_string(kind));
  wrapper.kind = static_cast<ContainerKind>(kind);
  MERROW_ASSIGN(wrapper.depth, reader.Uleb32());
  MERROW_ASSIGN(const uint8_t has_parent, reader.U8());
  if (has_parent > 1) return reader.Fail("parent option is neither 0 nor 1");
  if (has_parent == 1) {
    MERROW_ASSIGN(wrapper.parent, ReadPostcardContainerId(reader));
  }
  wrapper.state = reader.rest();
  return wrapper;
}

Bytes EncodeStateWrapper(const StateWrapper& wrapper) {
  ByteWriter writer;
  writer.U8(static_cast<uint8_t>(wrapper.kind));
  writer.Uleb(wrapper.depth);
  writer.U8(wrapper.parent ? 1 : 0);
  if (wrapper.parent) WritePostcardContainerId(writer, *wrapper.parent);
  writer.Append(wrapper.state);
  return writer.Release();
}

Result<double> DecodeCounterState(BytesView state) {
  // A release without counters leaves nothing of one that it carried along.
  if (state.empty()) return 0.0;
  ByteReader reader(state);
  MERROW_ASSIGN(const double sum, reader.F64Le());
  MERROW_TRY(reader.ExpectEnd());
  return sum;
}

Bytes EncodeCounterState(double sum) {
  ByteWriter writer;
  writer.F64Le(sum);
  return writer.Release();
}

}  // namespace merrow::loro
