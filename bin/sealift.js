#!/usr/bin/env node
// The command. It must run under Node 20: it finds the locked Node 24 and hands over to it.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import nodeModule, { createRequire } from "node:module"
import { constants } from "node:os"
import { fileURLToPath } from "node:url"

const source = new URL("../src/cli/main.ts", import.meta.url)
const main = existsSync(source) ? source : new URL("../dist/cli/main.js", import.meta.url)

/** Whether it will run a node, not ask one something. */
const isNode = process.argv[2] === "node"

/** Path of the Node 24 that was installed with the project, or undefined. */
function lockedNode() {
  const name = `node-${process.platform}-${process.arch}`
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/node`)
  } catch {
    return undefined
  }
}

/**
 * Keeps the sources as Node made them of TypeScript, so that the next start, and each thread, needs not
 * load the compiler: 45 MiB of a node that works. It lies where whoever can write could as well write
 * the packages that run here, never in a folder that others share.
 */
async function keepStrippedSources() {
  const folder = fileURLToPath(new URL("../node_modules/.cache/sealift", import.meta.url))
  // Threads look for the variable; this thread is past that.
  process.env.NODE_COMPILE_CACHE ??= folder
  if (isNode) {
    const { loadStrippedSources } = await import("./stripped-sources.js")
    loadStrippedSources(folder)
  } else {
    // By its name it could not be imported under Node 20, which has none.
    nodeModule.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  }
}

/**
 * A node runs for weeks with a dozen threads, and glibc would give each a heap of its own for what is
 * not JavaScript: 7 MiB more of a node that works, and up to 15 MiB of difference between two runs.
 * The allocator reads the variable before anything of ours runs, so it is set from outside.
 */
function environmentOfNode() {
  if (process.platform !== "linux" || !isNode) return process.env
  // Found at the start, it would turn on what `keepStrippedSources` leaves off in this thread.
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  return { MALLOC_ARENA_MAX: "1", ...env }
}

if (Number(process.versions.node.split(".")[0]) >= 24) {
  const env = environmentOfNode()
  if (env !== process.env && process.env.MALLOC_ARENA_MAX === undefined) {
    const again = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
    // In place: the process keeps its number, its terminal and its parent.
    process.execve(process.execPath, [process.execPath, ...again], env)
  }
  if (main === source) await keepStrippedSources()
  await import(main.href)
} else {
  const node = lockedNode()
  if (node === undefined) {
    process.stderr.write(
      "sealift: needs Node 24 and its locked copy is not installed; run `npm run setup` [NODE_MISSING]\n",
    )
    process.exit(1)
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: environmentOfNode(),
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) {
    // A terminal sends its Ctrl-C to both processes; forwarding it would make it two.
    const isSentToBoth = signal === "SIGINT" && process.stdin.isTTY
    process.on(signal, () => isSentToBoth || child.kill(signal))
  }
  child.on("exit", (code, signal) => {
    process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0))
  })
}
