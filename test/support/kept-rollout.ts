/**
 * What a node keeps of one rollout, read from its folder while it runs, and watched as it is written.
 * @module
 */
import { existsSync, type FSWatcher, mkdirSync, readdirSync, readFileSync, watch } from "node:fs"
import { join } from "node:path"
import type { ActKind } from "../../src/rollout/decision.ts"
import type { Step } from "../../src/rollout/node-machine.ts"

/** What the files of a rollout say. */
export interface KeptRollout {
  /** `staging` while there is a plan and no state yet; undefined before. */
  readonly step: Step | undefined
  readonly isBegun: boolean
  /** What was decided, as far as this node knows, in its order. */
  readonly decided: readonly {
    readonly act: ActKind
    readonly wave?: number
    readonly at: number
  }[]
}

const NOTHING: KeptRollout = { step: undefined, isBegun: false, decided: [] }
const PLAN_FOLDER = /^[0-9a-f]{64}$/

const folderOf = (data: string) => join(data, "rollouts")

/** Names the folders of the plans that a node keeps. */
export function plansOf(data: string): ReadonlySet<string> {
  mkdirSync(folderOf(data), { recursive: true })
  return new Set(readdirSync(folderOf(data)).filter((name) => PLAN_FOLDER.test(name)))
}

/** Reads what is kept of the one plan that is not among `older`. */
export function readKept(data: string, older: ReadonlySet<string>): KeptRollout {
  const [plan] = [...plansOf(data)].filter((name) => !older.has(name))
  if (plan === undefined) return NOTHING
  const folder = join(folderOf(data), plan)
  const state = readJson<{ step: Step; begun: boolean }>(join(folder, "state.json"))
  const isThere = existsSync(join(folder, "plan.json"))
  return {
    step: state?.step ?? (isThere ? "staging" : undefined),
    isBegun: state?.begun ?? false,
    decided: readDecided(join(folder, "decisions")),
  }
}

function readDecided(folder: string): KeptRollout["decided"] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => /^\d{4}\.json$/.test(name))
  return names.toSorted().map((name) => {
    const { payload } = readJson<{ payload: string }>(join(folder, name))!
    const text = Buffer.from(payload, "base64").toString("utf8")
    return (JSON.parse(text) as { predicate: KeptRollout["decided"][number] }).predicate
  })
}

function readJson<T>(path: string): T | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as T) : undefined
}

/**
 * Calls at each change of what is kept of plans that are not among `older`, and of other folders.
 * @returns ends it
 */
export function watchKept(
  data: string,
  { older, others }: { readonly older: ReadonlySet<string>; readonly others: readonly string[] },
  onChange: () => void,
): () => void {
  const watched = new Map<string, FSWatcher>()
  const add = (path: string) => {
    if (watched.has(path) || !existsSync(path)) return
    watched.set(path, watch(path, look))
    look()
  }
  function look(): void {
    const plans = [...plansOf(data)].filter((name) => !older.has(name))
    for (const plan of plans) {
      add(join(folderOf(data), plan))
      add(join(folderOf(data), plan, "decisions"))
    }
    onChange()
  }
  for (const path of [folderOf(data), ...others]) add(path)
  return () => {
    for (const watcher of watched.values()) watcher.close()
  }
}
