/**
 * The entry of the command line: ties it to this process. `bin/sealift.js` imports it.
 * @module
 */
import process from "node:process"
import { CliError } from "./errors.ts"
import type { CliHost } from "./invocation.ts"
import { report, runCommandLine } from "./program.ts"

const EXIT_INTERRUPTED = 130
const EXIT_FAILED = 1

const argv = process.argv.slice(2)
const interrupt = new AbortController()
const host: CliHost = {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupt.signal,
  exitCode: 0,
}

process.on("SIGINT", () => {
  // The second Ctrl-C waits for nothing.
  if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED)
  interrupt.abort(new CliError("INTERRUPTED", "interrupted"))
})
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of a pipe went away (`| head`): nobody is left to tell.
    process.exit(error.code === "EPIPE" ? 0 : EXIT_FAILED)
  })
}
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => process.exit(report(error, argv, host)))
}

// Writes to files, terminals and pipes are done when they return (Node: process I/O), so nothing is
// lost; timers of packages that are still running would hold the process up.
process.exit(await runCommandLine(argv, host))
