/**
 * What a node keeps of rollouts, below `rollouts` in its data directory (protocol/rollout.md §5,
 * keeping). A crash leaves each file as it was or as it shall be.
 * @module
 */
import { type Digest, hexOf, isDigest } from "../core/digest.ts"
import { encodeJson, type JsonObject } from "../core/json.ts"
import { parseSection, type Refuse, type Section } from "../core/section.ts"
import { ENVELOPE_BYTES_MAX } from "../trust/envelope.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { DECISIONS_MAX } from "./decision.ts"
import { COSIGNED_BYTES_MAX } from "./decision-log.ts"
import { ROSTER_BYTES_MAX } from "./roster.ts"

const FOLDER = "rollouts"
const STATE_BYTES_MAX: number = 1024 * 1024
const PLAN = "plan.json"
const ROSTER = "roster"
const STATE = "state.json"
const COSIGNED = "cosigned"
/** What a controller is about to decide, and the roster that it will name. */
const PENDING = "pending.json"
const PENDING_ROSTER = "pending-roster"

/** Files of all plans, and one of the node itself. */
export class RolloutFiles {
  readonly #files: TufFiles

  /** @param files - of the data directory */
  constructor(files: TufFiles) {
    this.#files = files
  }

  /** Gives the digests of the plans that are kept. */
  async plans(): Promise<readonly Digest[]> {
    const names = await this.#files.list(FOLDER)
    return names.flatMap((name) => {
      const [, hex, file, ...rest] = name.split("/")
      const digest = `sha256:${hex}`
      return file === PLAN && rest.length === 0 && isDigest(digest) ? [digest] : []
    })
  }

  plan(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#read(`${folderOf(digest)}/${PLAN}`, ENVELOPE_BYTES_MAX)
  }

  async writePlan(digest: Digest, envelope: Uint8Array): Promise<void> {
    await this.#files.write(`${folderOf(digest)}/${PLAN}`, envelope)
  }

  /** Gives the decisions of a plan in their order, up to the first that is not there. */
  async decisions(digest: Digest): Promise<readonly Uint8Array[]> {
    const kept: Uint8Array[] = []
    while (kept.length < DECISIONS_MAX) {
      const envelope = await this.#read(decisionName(digest, kept.length), ENVELOPE_BYTES_MAX)
      if (envelope === undefined) break
      kept.push(envelope)
    }
    return kept
  }

  async writeDecision(digest: Digest, index: number, envelope: Uint8Array): Promise<void> {
    await this.#files.write(decisionName(digest, index), envelope)
  }

  roster(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#read(`${folderOf(digest)}/${ROSTER}`, ROSTER_BYTES_MAX)
  }

  async writeRoster(digest: Digest, roster: Uint8Array): Promise<void> {
    await this.#files.write(`${folderOf(digest)}/${ROSTER}`, roster)
  }

  /** Gives the newest checkpoint of the decisions that witnesses have cosigned. */
  cosigned(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#read(`${folderOf(digest)}/${COSIGNED}`, COSIGNED_BYTES_MAX)
  }

  async writeCosigned(digest: Digest, note: Uint8Array): Promise<void> {
    await this.#files.write(`${folderOf(digest)}/${COSIGNED}`, note)
  }

  /** Gives what was about to be decided here when it was written last. */
  async pending(
    digest: Digest,
  ): Promise<
    { readonly envelope: Uint8Array; readonly roster: Uint8Array | undefined } | undefined
  > {
    const envelope = await this.#read(`${folderOf(digest)}/${PENDING}`, ENVELOPE_BYTES_MAX)
    if (envelope === undefined) return undefined
    return {
      envelope,
      roster: await this.#read(`${folderOf(digest)}/${PENDING_ROSTER}`, ROSTER_BYTES_MAX),
    }
  }

  async writePending(
    digest: Digest,
    {
      envelope,
      roster,
    }: { readonly envelope: Uint8Array; readonly roster: Uint8Array | undefined },
  ): Promise<void> {
    // The roster first: a start that goes on after a crash can then say who is in which wave.
    if (roster !== undefined) {
      await this.#files.write(`${folderOf(digest)}/${PENDING_ROSTER}`, roster)
    }
    await this.#files.write(`${folderOf(digest)}/${PENDING}`, envelope)
  }

  /** Gives the node's state under a plan. @throws what `refuse` gives when it is no object */
  async state(digest: Digest, refuse: Refuse): Promise<Section | undefined> {
    return await this.#section(`${folderOf(digest)}/${STATE}`, refuse)
  }

  async writeState(digest: Digest, state: JsonObject): Promise<void> {
    await this.#files.write(`${folderOf(digest)}/${STATE}`, encodeJson(state))
  }

  /** Gives what the node remembers beside its plans. @throws what `refuse` gives */
  async memory(refuse: Refuse): Promise<Section | undefined> {
    return await this.#section(`${FOLDER}/${STATE}`, refuse)
  }

  async writeMemory(memory: JsonObject): Promise<void> {
    await this.#files.write(`${FOLDER}/${STATE}`, encodeJson(memory))
  }

  /** Forgets a plan with all that belongs to it. */
  async removePlan(digest: Digest): Promise<void> {
    // The plan goes last: what is left by a crash is still told by it.
    const plan = `${folderOf(digest)}/${PLAN}`
    const names = (await this.#files.list(folderOf(digest))).toSorted(
      (one, other) => Number(one === plan) - Number(other === plan),
    )
    for (const name of names) await this.#files.remove(name)
  }

  async #section(name: string, refuse: Refuse): Promise<Section | undefined> {
    const bytes = await this.#read(name, STATE_BYTES_MAX)
    return bytes && parseSection(bytes, { bytesMax: STATE_BYTES_MAX, refuse })
  }

  #read(name: string, bytesMax: number): Promise<Uint8Array | undefined> {
    return this.#files.read(name, { bytesMax })
  }
}

function folderOf(digest: Digest): string {
  return `${FOLDER}/${hexOf(digest)}`
}

function decisionName(digest: Digest, index: number): string {
  return `${folderOf(digest)}/decisions/${String(index).padStart(4, "0")}.json`
}
