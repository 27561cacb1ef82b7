/**
 * What `sealift setup` needs to know of each client: its files, and what to tell the user.
 * @module
 */
import type { FileChange } from "../../cli/setup/file-change.ts"

/** Where things are. */
export interface SetupPlace {
  /** Base URL of the node's front door. */
  readonly http: string
  /** Gives a path below `--root`. */
  readonly at: (path: string) => string
  /** The node's data directory. */
  readonly data: string
  /** The user's own configuration directory; undefined for root, who configures the machine. */
  readonly userConfig: string | undefined
  /** Registries that get a mirror each, where a client needs one each. */
  readonly registries: readonly string[]
}

/** What is to be done. */
export interface SetupPlan {
  readonly changes: readonly FileChange[]
  /** What the user must know or do, one sentence each. */
  readonly notes: readonly string[]
}

/** First line of what is written. */
export const mark = (client: string): string =>
  `# Written by "sealift setup ${client}"; "sealift setup ${client} --undo" takes it back.`
