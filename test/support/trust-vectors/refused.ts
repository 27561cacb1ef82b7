/** Cases of protocol/envelope.md §5, reading 2, 3 and 5 to 7: not signed, or not expected. */
import { createHash } from "node:crypto"
import type { VectorCase } from "./keys.ts"
import {
  ALICE,
  BOB,
  base64,
  CAROL,
  draft,
  envelope,
  KIND,
  OTHER_KIND,
  pae,
  payloadOf,
  read,
  type Scene,
  STATEMENT,
  TYPE,
} from "./scene.ts"

type Fields = Record<string, unknown>

/** Reading 2 and 3. */
function unsigned(): VectorCase[] {
  const payload = payloadOf(STATEMENT)
  const bad = (name: string, comment: string, scene: Scene, code = "SIGNATURE_MISSING") =>
    read(name, comment, scene, code)
  const signedAs = (bytes: Buffer) => ({
    envelope: { ...envelope(payload), signatures: [ALICE].map((key) => sign(key, bytes)) },
  })
  const other = envelope(payload, [ALICE], "application/json")
  const [byAlice] = envelope(payload).signatures
  const withSignature = (signature: unknown): Scene => ({
    envelope: { ...envelope(payload), signatures: [signature] },
    keys: [ALICE.text, BOB.text],
  })
  const type = "PAYLOAD_TYPE_WRONG"
  return [
    bad("type-other", "Another type, rightly signed.", { envelope: other }, type),
    bad("type-empty", "An empty type.", { envelope: envelope(payload, [ALICE], "") }, type),
    bad(
      "type-case",
      "Types are compared as they are.",
      {
        envelope: envelope(payload, [ALICE], "Application/vnd.in-toto+json"),
      },
      type,
    ),
    bad(
      "type-other-unsigned",
      "The type is looked at before signatures.",
      {
        envelope: envelope(payload, [CAROL], "application/json"),
      },
      type,
    ),
    bad("no-key-expected", "No key may count.", { keys: [] }),
    bad("signer-unexpected", "Signed by a key that does not count.", { keys: [BOB.text] }),
    bad(
      "signed-other-payload",
      "Signed was another payload.",
      signedAs(pae(TYPE, Buffer.from("{}"))),
    ),
    bad("signed-other-type", "Signed was another type.", signedAs(pae("text/plain", payload))),
    bad("signed-bare-payload", "Signed were the bare bytes.", signedAs(payload)),
    bad(
      "signed-base64",
      "Signed was the base64.",
      signedAs(pae(TYPE, Buffer.from(base64(payload)))),
    ),
    bad(
      "keyid-swapped",
      "A right signature under another key.",
      withSignature({ ...byAlice, keyid: BOB.text }),
    ),
    bad("unsigned-malformed", "Nothing is parsed that nobody signed.", {
      envelope: envelope(Buffer.from("{"), [CAROL]),
    }),
  ]
}

function sign(key: typeof ALICE, bytes: Buffer): { keyid: string; sig: string } {
  return { keyid: key.text, sig: base64(key.sign(bytes)) }
}

/** Reading 5 to 7. */
function unexpected(): VectorCase[] {
  const bad = (name: string, comment: string, statement: Fields | string, code: string) =>
    read(
      name,
      comment,
      { payload: payloadOf(statement), kinds: { [KIND]: ["reason", "toString", "later"] } },
      code,
    )
  const kind = (predicateType: string) => ({ ...STATEMENT, predicateType })
  const otherFleet = createHash("sha256").update("another fleet").digest("hex")
  const critical = (...names: string[]) => draft({ critical: names })
  const text = JSON.stringify(STATEMENT)
  return [
    bad("kind-other", "Another kind.", kind(OTHER_KIND), "KIND_WRONG"),
    bad("kind-version", "Another version.", kind("sealift:withdrawal/v2"), "KIND_WRONG"),
    bad(
      "kind-case",
      "Kinds are compared as they are.",
      kind("Sealift:withdrawal/v1"),
      "KIND_WRONG",
    ),
    bad(
      "kind-inherited",
      "A name that every object has by birth.",
      kind("constructor"),
      "KIND_WRONG",
    ),
    bad(
      "kind-before-fleet",
      "The kind is looked at before the fleet.",
      {
        ...draft({ fleet: otherFleet }),
        predicateType: OTHER_KIND,
      },
      "KIND_WRONG",
    ),
    bad("fleet-other", "Another fleet.", draft({ fleet: otherFleet }), "FLEET_WRONG"),
    bad(
      "fleet-before-critical",
      "The fleet is looked at before critical fields.",
      draft({
        fleet: otherFleet,
        critical: ["unheard"],
      }),
      "FLEET_WRONG",
    ),
    bad(
      "critical-unknown",
      "There, but unknown.",
      draft({ unheard: 1, critical: ["unheard"] }),
      "CRITICAL_UNKNOWN",
    ),
    bad("critical-absent", "Known, but not there.", critical("later"), "CRITICAL_UNKNOWN"),
    bad(
      "critical-inherited",
      "Known, but only by birth there.",
      critical("toString"),
      "CRITICAL_UNKNOWN",
    ),
    bad(
      "critical-second",
      "The second one is unknown.",
      critical("reason", "unheard"),
      "CRITICAL_UNKNOWN",
    ),
    bad(
      "critical-prototype",
      "There under that name, but unknown.",
      text.replace('"reason"', '"__proto__":{},"critical":["__proto__"],"reason"'),
      "CRITICAL_UNKNOWN",
    ),
  ]
}

export function refusedCases(): readonly VectorCase[] {
  return [...unsigned(), ...unexpected()]
}
