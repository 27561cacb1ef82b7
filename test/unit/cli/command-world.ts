/**
 * A control API over rooms in memory on a real socket, and the command line that finds it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startControl } from "../../../src/api/control.ts"
import { runCommandLine } from "../../../src/cli/program.ts"
import { writeNodeFile } from "../../../src/daemon/node-file.ts"
import { openWorld, type World } from "../api/world.ts"

/** What one command left. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandWorld extends World {
  readonly directory: string
  /** Runs a command against the node. */
  run(...argv: readonly string[]): Promise<Ran>
  close(): Promise<void>
}

/** Runs a command line inside this process. */
export async function runSealift(
  argv: readonly string[],
  options: { env?: Record<string, string>; signal?: AbortSignal; isTerminal?: boolean } = {},
): Promise<Ran> {
  const written = { stdout: "", stderr: "" }
  const sink = (name: "stdout" | "stderr") => ({
    isTTY: options.isTerminal ?? false,
    write: (text: string) => {
      written[name] += text
      return true
    },
  })
  const code = await runCommandLine(argv, {
    env: options.env ?? {},
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    signal: options.signal ?? new AbortController().signal,
    exitCode: 0,
  })
  return { code, ...written }
}

/** Starts the world; close it. @param rooms - as for {@link openWorld} */
export async function openCommandWorld(
  rooms: Parameters<typeof openWorld>[0] = {},
): Promise<CommandWorld> {
  const world = await openWorld(rooms)
  const directory = await mkdtemp(join(tmpdir(), "sealift-cli-"))
  const control = join(directory, "control.sock")
  const description = {
    peerId: world.deps.net.id,
    http: "http://127.0.0.1:40404",
    p2p: ["/ip4/127.0.0.1/tcp/1/p2p/12D3"],
    control,
    pid: 1,
    version: "0.0.0",
  }
  const server = await startControl(world.deps, {
    describe: () => description,
    isReady: () => true,
    data: directory,
    config: [{ key: "lan", value: false, source: "default" }],
    socketPath: control,
  })
  await writeNodeFile(directory, description)
  return {
    ...world,
    directory,
    run: (...argv) => runSealift([...argv, "--data", directory]),
    async close() {
      await server.stop({ deadlineMs: 200 })
      await world.close()
      await rm(directory, { recursive: true })
    },
  }
}
