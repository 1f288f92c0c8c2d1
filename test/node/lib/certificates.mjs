// SPDX-License-Identifier: Apache-2.0
//
// Certificates for a test, made by the openssl command and valid for a day, so that none that expires is committed.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const openssl = (...args) =>
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });

export class Authority {
  #directory;
  #count = 0;
  // PEM file of its certificate.
  path;

  constructor(directory, name = "authority") {
    this.#directory = directory;
    this.path = join(directory, `${name}.pem`);
    openssl(
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1".split(
        " ",
      ),
      ...["-subj", `/CN=${name}`, "-keyout", this.#key, "-out", this.path],
    );
  }

  get #key() {
    return this.path.replace(/pem$/, "key");
  }

  // {cert, key, ca}: PEM files of a site at the addresses `names` ("IP:127.0.0.1,DNS:localhost").
  issue(names = "IP:127.0.0.1,DNS:localhost") {
    this.#count += 1;
    const stem = `${this.path.replace(/\.pem$/, "")}-${this.#count}`;
    writeFileSync(`${stem}.ext`, `subjectAltName=${names}\n`);
    openssl(
      ..."req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(" "),
      ...["-subj", `/CN=site ${this.#count}`],
      ...["-keyout", `${stem}.key`, "-out", `${stem}.csr`],
    );
    openssl(
      ...["x509", "-req", "-days", "1", "-CAcreateserial"],
      ...["-CA", this.path, "-CAkey", this.#key],
      ...["-in", `${stem}.csr`, "-extfile", `${stem}.ext`],
      ...["-out", `${stem}.pem`],
    );
    return { cert: `${stem}.pem`, key: `${stem}.key`, ca: this.path };
  }
}

// Flags of `merrow serve`.
export const tlsArgs = ({ cert, key, ca }) => [
  ...(cert ? ["--tls-cert", cert, "--tls-key", key] : []),
  ...(ca ? ["--tls-ca", ca] : []),
];
