# SPDX-License-Identifier: Apache-2.0
set(loro_codec_sources)
set(loro_codec_tests)
