# SPDX-License-Identifier: Apache-2.0
set(loro_codec_sources change_block.cc change_block_builder.cc columns.cc container_id_codec.cc envelope.cc
                       value_codec.cc)
set(loro_codec_tests)
