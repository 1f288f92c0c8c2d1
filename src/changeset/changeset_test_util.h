// SPDX-License-Identifier: Apache-2.0
//
// Changesets for tests: random ones, and a way to print and compare them whatever their tables,
// columns and rows are numbered.

#pragma once

#include <random>
#include <string>

#include "changeset/changeset.h"

namespace merrow::changeset {

/// A site id that is easily told from others.
cells::SiteId SiteNamed(unsigned char name);

/// A well-formed changeset with rows of all kinds. `previous` is its site's last version.
Changeset RandomChangeset(std::mt19937& random, const cells::SiteId& site,
                          cells::DbVersion previous);

/// What it says, with names instead of indexes and rows in order of table and key.
std::string Describe(const Changeset& changeset);

}  // namespace merrow::changeset
