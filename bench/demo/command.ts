/**
 * Commands of the command line, as a user would type them.
 * @module
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import type { NodeProcess } from "../node-process.ts"
import { packageFile } from "../package-file.ts"

const COMMAND = packageFile("bin/sealift.js")
const COMMAND_MS_MAX = 60_000

interface Outcome {
  readonly code: number
  readonly text: string
}

/** Runs one that must work. @param node - undefined: it needs none. @returns what it printed */
export async function run(
  node: NodeProcess | undefined,
  ...words: readonly string[]
): Promise<string> {
  const { code, text } = await attempt(node, ...words)
  if (code !== 0) throw new Error(`sealift ${words[0]}: exit ${code}: ${text}`)
  return text
}

/** Runs what must be refused. @returns the one line of the refusal */
export async function refusal(
  exit: number,
  node: NodeProcess,
  ...words: readonly string[]
): Promise<string> {
  const { code, text } = await attempt(node, ...words)
  if (code !== exit)
    throw new Error(`sealift ${words[0]}: exit ${code} instead of ${exit}: ${text}`)
  return text
}

/** Runs one. @returns what it printed, or with what words it failed */
export function attempt(
  node: NodeProcess | undefined,
  ...words: readonly string[]
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const options = { timeout: COMMAND_MS_MAX, encoding: "utf8" as const }
  execFile(process.execPath, argvOf(node, words), options, (error, stdout, stderr) => {
    const code = error === null ? 0 : Number(error.code ?? 1)
    resolve({ code, text: (code === 0 ? stdout : stderr).trim() })
  })
  return promise
}

/** Starts one that goes on; its lines are to be read, and whoever starts it ends it. */
export function begin(node: NodeProcess, ...words: readonly string[]): ChildProcess {
  return spawn(process.execPath, argvOf(node, words), { stdio: ["ignore", "pipe", "ignore"] })
}

function argvOf(node: NodeProcess | undefined, words: readonly string[]): string[] {
  const data = node === undefined ? [] : ["--data", node.data]
  return [COMMAND, ...words, ...data, "--quiet"]
}
