/**
 * How commands are defined: the options that all of them take, an example in each help, and what
 * their work gets to hand.
 * @module
 */
import type { Command, CommanderError } from "commander"
import { codeOf } from "../core/errors.ts"
import { dataDirectoryOf } from "../daemon/node-directory.ts"
import type { ControlClient } from "./control-client.ts"
import { CliError } from "./errors.ts"
import { Output, type TextSink } from "./output.ts"

/** The world around one run of the command line. */
export interface CliHost {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: TextSink
  readonly stderr: TextSink
  /** Aborted by Ctrl-C, with the error to report. */
  readonly signal: AbortSignal
  /** Set by a command that ends otherwise than by 0 or an error. */
  exitCode: number
}

/** One use of one command. */
export interface Invocation {
  readonly host: CliHost
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  readonly out: Output
  readonly signal: AbortSignal
  /** The data directory that is meant. */
  readonly data: string
  /**
   * Finds the running node. For a command that may run one itself, one is started when there is none,
   * and stopped when the command has ended.
   * @throws CliError `NODE_NOT_RUNNING`
   */
  connect(): Promise<ControlClient>
}

/** What a command is, beside its entry in the table. */
export interface CommandSpec {
  /** Lines that work as written. */
  readonly examples: readonly string[]
  /** Adds what only this command takes. */
  readonly define?: (command: Command) => unknown
  /** Whether it runs a node in this process for its own time when none runs. */
  readonly runsNode?: boolean
  readonly work: (invocation: Invocation) => Promise<void>
}

/** Gives a command the options of every command, its own, its examples and its work. */
export function defineCommand(command: Command, host: CliHost, spec: CommandSpec): void {
  spec.define?.(command)
  command
    .option("--data <dir>", "data directory of the node")
    .option("--json", "print JSON: one document, or one per line")
    .option("--quiet", "print no progress and no remarks")
    .addHelpText("after", `\nExamples:\n${spec.examples.map((line) => `  ${line}`).join("\n")}`)
    .exitOverride(asUsageError(pathOf(command)))
    .action(async () => await runOnce(command, host, spec))
}

/** Turns commander's refusals into errors of ours; help and version pass as they are. */
export function asUsageError(path: string): (error: CommanderError) => never {
  return (error) => {
    if (error.exitCode === 0) throw error
    // Without a command, commander prints its help and leaves the message as "(outputHelp)".
    const isBare = error.code === "commander.help"
    const reason = isBare ? "a command is missing" : error.message.replace(/^error: /, "")
    const [first, hint] = reason.split("\n")
    const text = hint === undefined ? first : `${first} ${hint}`
    throw new CliError("USAGE_INVALID", `${text}; see "${path} --help"`)
  }
}

/** Gives the words by which a command is called, `sealift store verify`. */
export function pathOf(command: Command): string {
  const names: string[] = []
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name())
  return names.join(" ")
}

async function runOnce(command: Command, host: CliHost, spec: CommandSpec): Promise<void> {
  await using nodes = new AsyncDisposableStack()
  const invocation = invocationOf(command, host)
  if (spec.runsNode !== true) return await spec.work(invocation)
  const connect = () => connectOrRun(invocation, nodes)
  await spec.work({ ...invocation, connect })
}

async function connectOrRun(
  invocation: Invocation,
  nodes: AsyncDisposableStack,
): Promise<ControlClient> {
  try {
    return await invocation.connect()
  } catch (error) {
    if (codeOf(error) !== "NODE_NOT_RUNNING") throw error
  }
  const { startOwnNode } = await import("./own-node.ts")
  const node = await startOwnNode(invocation)
  nodes.defer(() => node.stop())
  const client = await invocation.connect()
  invocation.out.note("no node runs here: this command runs one for its own time")
  return client
}

function invocationOf(command: Command, host: CliHost): Invocation {
  const options: Record<string, unknown> = command.opts()
  const { stdout, stderr, env, signal } = host
  const isJson = options.json === true
  const data = dataDirectoryOf({ flags: options, env })
  return {
    host,
    args: command.args,
    options,
    out: new Output({ stdout, stderr, isJson, isQuiet: options.quiet === true }),
    signal,
    data,
    async connect() {
      const { connectToNode } = await import("./control-client.ts")
      return await connectToNode(data, { signal })
    },
  }
}
