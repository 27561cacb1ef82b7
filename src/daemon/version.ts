/**
 * The version of this program, from its package.
 * @module
 */
import { readFileSync } from "node:fs"

/** Gives the version, `0.1.0`. */
export function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8")
  return (JSON.parse(text) as { version: string }).version
}
