/* SPDX-License-Identifier: Apache-2.0
 *
 * MERROW_API marks what the shared library offers to C; all that is not marked is hidden in it.
 * (C++ headers mark what they declare as a whole, by a pragma.)
 */
#ifndef MERROW_EXPORT_H_
#define MERROW_EXPORT_H_

#define MERROW_API __attribute__((visibility("default")))

#endif /* MERROW_EXPORT_H_ */
