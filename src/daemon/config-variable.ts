/**
 * Settings from the environment: `SEALIFT_HTTP` and its like.
 * @module
 */
import { CONFIG_KEYS, type NodeConfig } from "./config-schema.ts"
import { DaemonError } from "./errors.ts"

const PREFIX = "SEALIFT_"
/** Variables that are no settings. */
const OTHERS: readonly string[] = ["SEALIFT_CONFIG", "SEALIFT_DEBUG"]
/** What a program of a rollout finds in its environment, which may be `sealift` (`rollout/activate-exec.ts`). */
const OF_ROLLOUTS: readonly string[] = ["SEALIFT_NODE", "SEALIFT_RELEASE", "SEALIFT_PATH"]
/** Kubernetes sets these in every pod when a service is called `sealift`. */
const KUBERNETES = /^SEALIFT_(.+_)?(SERVICE_(HOST|PORT.*)|PORT(_\d+_.*)?)$/

export interface Variables {
  /** By key, as a file would give them. An empty variable counts as unset. */
  readonly values: Readonly<Record<string, unknown>>
  /**
   * Refuses a `SEALIFT_` variable that means nothing: it would be a typing error without effect.
   * @throws DaemonError `CONFIG_INVALID`
   */
  refuseUnknown(config: NodeConfig): void
}

/** Reads the environment. @throws DaemonError `CONFIG_INVALID` for a boolean that is none */
export function variablesOf(env: Readonly<Record<string, string | undefined>>): Variables {
  const values: Record<string, unknown> = {}
  for (const { path, kind, variable } of CONFIG_KEYS) {
    const text = env[variable]
    if (text === undefined || text === "") continue
    values[path] = kind === "boolean" ? booleanOf(path, variable, text) : text
    if (kind === "list") values[path] = text.split(",").map((part) => part.trim())
  }
  return {
    values,
    refuseUnknown(config) {
      const known = new Set([
        ...CONFIG_KEYS.map(({ variable }) => variable),
        ...OTHERS,
        ...OF_ROLLOUTS,
      ])
      for (const { password, token } of Object.values(config.upstreams)) {
        for (const ref of [password, token]) if (ref?.from === "env") known.add(ref.name)
      }
      const isUnknown = (name: string) => !known.has(name) && !KUBERNETES.test(name)
      const name = Object.keys(env).find((key) => key.startsWith(PREFIX) && isUnknown(key))
      if (name !== undefined) throw unknownVariable(name)
    },
  }
}

function booleanOf(key: string, variable: string, text: string): boolean {
  if (text === "true" || text === "1") return true
  if (text === "false" || text === "0") return false
  const value = JSON.stringify(text.slice(0, 80))
  throw new DaemonError(
    "CONFIG_INVALID",
    `cannot use the configuration: ${key} is ${value} (${variable}); allowed: true, false, 1, 0`,
    { details: { key, value: text.slice(0, 80), allowed: "true, false, 1, 0", source: variable } },
  )
}

function unknownVariable(name: string): DaemonError {
  const allowed = [...CONFIG_KEYS.map(({ variable }) => variable), ...OTHERS].join(", ")
  return new DaemonError(
    "CONFIG_INVALID",
    `cannot use the configuration: unknown variable ${name}; allowed: ${allowed}`,
    { details: { key: name, allowed, source: name } },
  )
}
