// SPDX-License-Identifier: Apache-2.0
//
// The one translation unit that compiles the parts of Boost.Asio and Boost.Beast that are not
// templates (BOOST_ASIO_SEPARATE_COMPILATION and BOOST_BEAST_SEPARATE_COMPILATION are defined for
// the whole target).

#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
