/**
 * The proof of what was decided: entries of the controller's log, checked by who knows nothing but the
 * controller's id.
 * @module
 */
import type { EntryProofReport, LogVerdictReport } from "../../src/api/log-api.ts"
import { verifyEntry } from "../../src/audit/entry-proof.ts"
import type { LoggedEvent } from "../../src/audit/event.ts"
import { isSignedBy, publicKeyOf } from "../../src/net/identity.ts"
import type { NodeProcess } from "../node-process.ts"
import { run } from "./command.ts"

const EVENTS_READ = "1000"

/** Gives what a node's log says of the decisions of a rollout, in their order. */
export async function decisionsOf(
  node: NodeProcess,
  rollout: string,
): Promise<readonly LoggedEvent[]> {
  const lines = await run(node, "log", "--count", EVENTS_READ, "--json")
  const events = lines.split("\n").map((line) => JSON.parse(line) as LoggedEvent)
  return events.filter(({ event, facts }) => {
    return event === "rollout.decided" && facts.rollout === rollout
  })
}

/** Has a node read its whole log. @throws when it is not what the node signed */
export async function verifyLog(node: NodeProcess): Promise<LogVerdictReport> {
  return JSON.parse(await run(node, "log", "--verify", "--json")) as LogVerdictReport
}

/** Asks for the proof of an entry and checks it here. @throws when it proves nothing */
export async function proveEntry(node: NodeProcess, index: number): Promise<EntryProofReport> {
  const text = await run(node, "log", "--prove", `${index}`, "--json")
  const proof = JSON.parse(text) as EntryProofReport
  const shown = {
    index: proof.index,
    entry: Buffer.from(proof.entry, "base64"),
    hashes: proof.hashes.map((hash) => Buffer.from(hash, "base64")),
    checkpoint: Buffer.from(proof.checkpoint),
  }
  const { peerId: peer } = node
  verifyEntry(shown, {
    peer,
    publicKey: publicKeyOf(peer),
    isSigned: (bytes, signature) => isSignedBy(peer, bytes, signature),
  })
  return proof
}
