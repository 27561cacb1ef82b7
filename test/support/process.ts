/**
 * Real programs for the tests: started with their output kept, awaited, stopped by their id.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { createServer } from "node:net"
import { delimiter, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const OUTPUT_BYTES_MAX = 256 * 1024
const STOP_GRACE_MS = 10_000
const READY_TIMEOUT_MS = 30_000
const RUN_TIMEOUT_MS = 300_000
const POLL_MS = 50

/** How a program is started. */
export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Network namespace to run in (root only). */
  readonly namespace?: string | undefined
  /** Words before the command that run it elsewhere; see `newer-debian.ts`. */
  readonly inside?: readonly string[] | undefined
}

/** What a finished program left. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A running program. */
export interface Program {
  readonly pid: number
  /** The last 256 KiB of both its outputs, interleaved as they came. */
  output(): string
  /** Resolves with the exit code (128 + signal number when killed) once it is gone. */
  readonly exited: Promise<number>
  isRunning(): boolean
  /** SIGTERM, and SIGKILL if it is still there after ten seconds. */
  stop(): Promise<number>
  kill9(): Promise<number>
}

/** Thrown when a program fails where it must not; carries what it printed. */
export class ProgramError extends Error {
  readonly outcome: Outcome

  constructor(command: readonly string[], outcome: Outcome) {
    const said = `${outcome.stdout}\n${outcome.stderr}`.trim().slice(-4000)
    super(`${command.join(" ")}: exit ${outcome.code}\n${said}`)
    this.name = "ProgramError"
    this.outcome = outcome
  }
}

// Our own variables are for the tests; a node refuses those it does not know.
const OWN_ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("SEALIFT_")),
)
const running = new Set<ChildProcess>()

// A test run that dies must not leave daemons behind.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Gives the path of a program, looking through PATH and the folders of system programs. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Names the tools that are not here, loudly. `root` stands for running as root. */
export function missingTools(...names: readonly string[]): readonly string[] {
  const missing = names.filter((name) =>
    name === "root" ? process.getuid?.() !== 0 : findTool(name) === undefined,
  )
  if (missing.length > 0) process.stderr.write(`SKIPPED for want of: ${missing.join(", ")}\n`)
  return missing
}

function spawnProgram(command: readonly string[], options: ProgramOptions): ChildProcess {
  const network = options.namespace === undefined ? [] : ["ip", "netns", "exec", options.namespace]
  const all = [...network, ...(options.inside ?? []), ...command]
  const [name, ...rest] = all as [string, ...string[]]
  const child = spawn(findTool(name) ?? name, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...OWN_ENVIRONMENT, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  running.add(child)
  child.once("close", () => running.delete(child))
  // A program may end without reading its input.
  child.stdin?.on("error", () => undefined)
  return child
}

const exitCode = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 143)))
  })

/** Keeps the tail of a stream. */
function keepTail(parts: string[], chunk: string): void {
  parts.push(chunk)
  let sizeBytes = parts.reduce((sum, part) => sum + part.length, 0)
  while (sizeBytes > OUTPUT_BYTES_MAX && parts.length > 1) sizeBytes -= parts.shift()!.length
}

/**
 * Runs a program to its end.
 * @throws ProgramError when it fails (unless `mayFail`) or does not end in `timeoutMs`
 */
export async function run(
  command: readonly string[],
  options: ProgramOptions & {
    readonly input?: string | Uint8Array
    readonly timeoutMs?: number
    readonly mayFail?: boolean
  } = {},
): Promise<Outcome> {
  const child = spawnProgram(command, options)
  const stdout: string[] = []
  const stderr: string[] = []
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => stdout.push(chunk))
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => keepTail(stderr, chunk))
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? RUN_TIMEOUT_MS)
  child.stdin?.end(options.input)
  try {
    const code = await exitCode(child)
    const outcome = { code, stdout: stdout.join(""), stderr: stderr.join("") }
    if (code !== 0 && options.mayFail !== true) throw new ProgramError(command, outcome)
    return outcome
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Starts a program that stays, and waits until `isReady` says so.
 * @throws ProgramError when it ends or is not ready in time (then it was stopped)
 */
export async function start(
  command: readonly string[],
  options: ProgramOptions & {
    readonly isReady?: (program: Program) => boolean | Promise<boolean>
    readonly readyTimeoutMs?: number
  } = {},
): Promise<Program> {
  const child = spawnProgram(command, options)
  const tail: string[] = []
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => keepTail(tail, chunk))
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => keepTail(tail, chunk))
  child.stdin?.end()
  const program = describeProgram(child, tail)
  const isReady = options.isReady ?? (() => true)
  const ready = await pollUntil(
    async () => !program.isRunning() || (await isReady(program)),
    options.readyTimeoutMs ?? READY_TIMEOUT_MS,
  )
  if (ready && program.isRunning()) return program
  const code = await program.stop()
  throw new ProgramError(command, { code, stdout: program.output(), stderr: "never became ready" })
}

function describeProgram(child: ChildProcess, tail: readonly string[]): Program {
  const exited = exitCode(child)
  exited.catch(() => undefined)
  const isRunning = () => child.pid !== undefined && running.has(child)
  const end = async (signal: NodeJS.Signals) => {
    if (isRunning()) child.kill(signal)
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS)
    return exited.finally(() => clearTimeout(timer))
  }
  return {
    pid: child.pid ?? -1,
    output: () => tail.join(""),
    exited,
    isRunning,
    stop: () => end("SIGTERM"),
    kill9: () => end("SIGKILL"),
  }
}

/** Asks again and again; tells whether the answer became true in time. */
export async function pollUntil(
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > deadline) return false
    await sleep(POLL_MS)
  }
  return true
}

/** Gives a TCP port that nothing listened on a moment ago, for programs that cannot pick one. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}
