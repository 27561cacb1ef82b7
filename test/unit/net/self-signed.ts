/** A certificate that signs itself, written in DER by hand: Node makes none. */
import { generateKeyPairSync, sign } from "node:crypto"

const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const BOOLEAN = 0x01
const BIT_STRING = 0x03
const OCTET_STRING = 0x04
const OID = 0x06
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
/** OIDs in DER: Ed25519 (RFC 8410), and common name, subjectAltName, basicConstraints (X.520). */
const ED25519 = "2b6570"
const COMMON_NAME = "550403"
const ALT_NAME = "551d11"
const BASIC_CONSTRAINTS = "551d13"

function der(tag: number, ...parts: readonly (Uint8Array | number[])[]): Uint8Array {
  const body = Buffer.concat(parts.map((part) => Uint8Array.from(part)))
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Uint8Array.from([tag, ...length]), body])
}

const oid = (hex: string): Uint8Array => der(OID, Buffer.from(hex, "hex"))
const time = (text: string): Uint8Array => der(UTC_TIME, Buffer.from(text))

/** Gives an Ed25519 key and its certificate for an IPv4 address, both in PEM. */
export function selfSigned(host: string): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  const algorithm = der(SEQUENCE, oid(ED25519))
  const commonName = der(SEQUENCE, oid(COMMON_NAME), der(UTF8_STRING, Buffer.from("test")))
  const name = der(SEQUENCE, der(SET, commonName))
  const extension = (id: string, value: Uint8Array) =>
    der(SEQUENCE, oid(id), der(OCTET_STRING, value))
  const extensions = der(
    SEQUENCE,
    extension(BASIC_CONSTRAINTS, der(SEQUENCE, der(BOOLEAN, [0xff]))),
    extension(ALT_NAME, der(SEQUENCE, der(0x87, host.split(".").map(Number)))),
  )
  const body = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, [2])),
    der(INTEGER, [1]),
    algorithm,
    name,
    der(SEQUENCE, time("200101000000Z"), time("491231235959Z")),
    name,
    publicKey.export({ format: "der", type: "spki" }),
    der(0xa3, extensions),
  )
  const certificate = der(
    SEQUENCE,
    body,
    algorithm,
    der(BIT_STRING, [0], sign(null, body, privateKey)),
  )
  const lines = Buffer.from(certificate)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")
  return {
    key: String(privateKey.export({ format: "pem", type: "pkcs8" })),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  }
}
