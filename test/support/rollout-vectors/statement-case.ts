/** Cases of a signed statement of a rollout: plans, decisions and reports. */
import { createHash } from "node:crypto"
import { peerIdOfKey } from "../peer-id.ts"
import {
  bad,
  type Case,
  changed,
  type Fields,
  good,
  payloadOf,
  signed,
} from "../release-vectors/scene.ts"
import type { keyOf } from "../trust-vectors/keys.ts"

export type Key = ReturnType<typeof keyOf>

/** What a case changes of a predicate that is right. */
export type Change = readonly [name: string, comment: string, change: (copy: Fields) => unknown]

/** What stands around a predicate, where it is not as usual. */
export interface Scene {
  readonly subject?: readonly Fields[]
  readonly kind?: string
  readonly signers?: readonly Key[]
}

/** What all cases of one kind of statement have in common. */
export interface StatementKind {
  /** Begins the name of each case. */
  readonly prefix: string
  readonly kind: string
  readonly subject: readonly Fields[]
  readonly signer: Key
  /** What a reader is told beside the file. */
  readonly told: Fields
  /** The code of a predicate that breaks a rule. */
  readonly invalid: string
  /** What is read, beside the digest. */
  outputOf(said: Fields, subject: readonly Fields[]): Fields
}

/** Makes cases of one kind of statement. */
export class StatementCases {
  readonly #of: StatementKind

  constructor(of: StatementKind) {
    this.#of = of
  }

  payload(predicate: Fields, { kind, subject }: Scene = {}): Buffer {
    return payloadOf(kind ?? this.#of.kind, subject ?? this.#of.subject, predicate)
  }

  file(predicate: Fields, scene: Scene = {}): string {
    return signed(this.payload(predicate, scene), scene.signers ?? [this.#of.signer])
  }

  ok(name: string, comment: string, predicate: Fields, scene: Scene = {}): Case {
    const digest = createHash("sha256").update(this.payload(predicate, scene)).digest("hex")
    const { fleet: _, note: _note, critical: _critical, ...said } = predicate
    const output = { digest, ...this.#of.outputOf(said, scene.subject ?? this.#of.subject) }
    return good(this.#nameOf(name), comment, this.#inputOf(predicate, scene), output)
  }

  /** A case that is refused by the code of its kind. */
  wrong(name: string, comment: string, predicate: Fields, scene: Scene = {}): Case {
    return this.refused(name, comment, this.#of.invalid, [predicate, scene])
  }

  refused(
    name: string,
    comment: string,
    code: string,
    [predicate, scene = {}]: [Fields, Scene?],
  ): Case {
    return bad(this.#nameOf(name), comment, this.#inputOf(predicate, scene), code)
  }

  /** A case of each change that leaves the predicate right. */
  right(predicate: Fields, changes: readonly Change[]): readonly Case[] {
    return changes.map(([name, comment, change]) =>
      this.ok(name, comment, changed(predicate, change)),
    )
  }

  /** A case of each change that makes the predicate wrong. */
  broken(predicate: Fields, changes: readonly Change[]): readonly Case[] {
    return changes.map(([name, comment, change]) =>
      this.wrong(name, comment, changed(predicate, change)),
    )
  }

  #nameOf(name: string): string {
    return `${this.#of.prefix}-${name}`
  }

  #inputOf(predicate: Fields, scene: Scene): Fields {
    return { file: this.file(predicate, scene), ...this.#of.told }
  }
}

/** The peer id of a key's holder. */
export const peerOf = ({ text }: Key): string => peerIdOfKey(Buffer.from(text, "hex"))

export const set =
  (fields: Fields) =>
  (copy: Fields): unknown =>
    Object.assign(copy, fields)
export const without =
  (name: string) =>
  (copy: Fields): void => {
    delete copy[name]
  }
