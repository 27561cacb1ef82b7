/**
 * Kraken's running programs on one host, in a folder of their own, which end with this process.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { delimiter, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { EMPTY_TEMPLATE, KRAKEN_NGINX_FOLDER } from "./kraken-settings.ts"

const START_MS_MAX = 30_000
const POLL_MS = 20
const EXECUTABLE = 0o755
/**
 * Each of Kraken's programs ends when it cannot start nginx, and passes on to nobody else what comes to
 * its own ports. What waits in nginx's place has nothing to do.
 */
const WAITING = "#!/bin/sh\nexec sleep infinity\n"

/** A program and how it is told where to listen. */
export interface KrakenProgram {
  readonly path: string
  readonly words: readonly string[]
  readonly settings: Readonly<Record<string, unknown>>
}

/** Starts programs; each leads a process group of its own, since it starts others. */
export class KrakenPrograms {
  readonly #started: ChildProcess[] = []

  constructor() {
    // Whatever ends this process: none is left.
    process.once("exit", () => this.#kill())
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))
  }

  /**
   * Starts one that answers whether it is well, and waits until it does.
   * @param folder - its own, made here
   * @returns its process id
   */
  async startKraken(folder: string, health: string, program: KrakenProgram): Promise<number> {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, EMPTY_TEMPLATE), "")
    writeFileSync(join(folder, "sudo"), WAITING, { mode: EXECUTABLE })
    const config = join(folder, "config.json")
    writeFileSync(config, JSON.stringify(program.settings))
    const words = ["-config", config, ...program.words]
    const environment = { PATH: [folder, process.env.PATH ?? ""].join(delimiter) }
    const child = this.#start([program.path, ...words], environment)
    await answers(child, program.path, () => isWell(health))
    return child.pid!
  }

  /** Starts a Redis that keeps nothing on disk, and waits until it listens on loopback. */
  async startRedis(program: string, port: number): Promise<void> {
    const options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    const child = this.#start([program, "--port", String(port), ...options], {})
    await answers(child, program, () => isListening(port))
  }

  /** Ends all, and waits until they are gone. */
  async stop(): Promise<void> {
    const gone = this.#started.filter(isRunning).map((child) => once(child, "exit"))
    this.#kill()
    await Promise.all(gone)
    try {
      rmdirSync(KRAKEN_NGINX_FOLDER)
    } catch {
      // Another host was first, or it is somebody's and not empty.
    }
  }

  #start(command: readonly [string, ...string[]], environment: Record<string, string>) {
    const [program, ...words] = command
    const child = spawn(program, words, {
      detached: true,
      // stdout is the line to whoever measures.
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, ...environment },
    })
    // One that could not be started has no process id, which is noticed when it does not answer.
    child.on("error", () => {})
    this.#started.push(child)
    return child
  }

  #kill(): void {
    for (const child of this.#started) if (isRunning(child)) process.kill(-child.pid!, "SIGKILL")
  }
}

const isRunning = (child: ChildProcess) =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null

async function answers(child: ChildProcess, name: string, isReady: () => Promise<boolean>) {
  const endMs = performance.now() + START_MS_MAX
  while (!(await isReady())) {
    if (!isRunning(child)) throw new Error(`${name} ended at its start`)
    if (performance.now() > endMs) throw new Error(`${name} does not answer`)
    await sleep(POLL_MS)
  }
}

async function isWell(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1")
  try {
    await once(socket, "connect")
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
