/**
 * The command line as a whole: all commands, and how a run of one ends.
 * @module
 */
import { Command, CommanderError } from "commander"
import { errorBodyOf } from "../api/fault-body.ts"
import { CodedError } from "../core/errors.ts"
import { readVersion } from "../daemon/version.ts"
import { COMMANDS, type CommandEntry, GROUPS } from "./command-table.ts"
import { exitCodeOf } from "./exit-code.ts"
import { asUsageError, type CliHost, defineCommand, pathOf } from "./invocation.ts"

/** Runs one command line. @returns the exit code */
export async function runCommandLine(argv: readonly string[], host: CliHost): Promise<number> {
  try {
    const program = await createProgram(argv, host)
    await program.parseAsync([...argv], { from: "user" })
    return host.exitCode
  } catch (error) {
    // Help and version are printed already.
    if (error instanceof CommanderError) return error.exitCode
    return report(host.signal.aborted ? host.signal.reason : error, argv, host)
  }
}

async function createProgram(argv: readonly string[], host: CliHost): Promise<Command> {
  const program = new Command("sealift")
    .description(
      "Moves container images and sealed assets between machines by BitTorrent, verified.",
    )
    .version(readVersion(), "--version", "print the version")
    .exitOverride(asUsageError("sealift"))
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      // Commander's own words about errors: ours are printed instead, in one line.
      writeErr: () => {},
      outputError: () => {},
    })
    .addHelpText("after", '\nEach command has examples: "sealift get --help".')
  const groups = new Map<string, Command>()
  for (const entry of COMMANDS) {
    const command = parentOf(program, entry, groups).command(entry.usage)
    command.description(entry.summary)
    // "help get" names the command as well as "get" does.
    if (argv.includes(command.name())) defineCommand(command, host, await entry.load())
  }
  return program
}

/** Gives the group of a command, which may be one within another (`fleet policy`). */
function parentOf(
  program: Command,
  { group }: Pick<CommandEntry, "group">,
  groups: Map<string, Command>,
): Command {
  if (group === undefined) return program
  const known = groups.get(group)
  if (known !== undefined) return known
  const [outer, name] = splitGroup(group)
  const made = parentOf(program, outer, groups)
    .command(name)
    .description(GROUPS[group] ?? "")
  made.exitOverride(asUsageError(pathOf(made)))
  made.addHelpText("after", `\nEach command has examples: "${pathOf(made)} COMMAND --help".`)
  groups.set(group, made)
  return made
}

function splitGroup(group: string): [Pick<CommandEntry, "group">, string] {
  const space = group.lastIndexOf(" ")
  return space < 0 ? [{}, group] : [{ group: group.slice(0, space) }, group.slice(space + 1)]
}

/** Prints an error in one line, or as JSON. @returns the exit code */
export function report(error: unknown, argv: readonly string[], host: CliHost): number {
  const body = errorBodyOf(error)
  const { code, message } = body.error
  if (argv.includes("--json")) host.stdout.write(`${JSON.stringify(body)}\n`)
  else host.stderr.write(`sealift: ${oneLine(message)} [${code}]\n`)
  const isWanted = host.env.SEALIFT_DEBUG === "1"
  if (isWanted && error instanceof Error) host.stderr.write(`${traceOf(error)}\n`)
  return exitCodeOf(error instanceof CodedError ? code : "INTERNAL")
}

/** Upstreams and peers may have worded a part of it; a terminal must not obey them. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ")
}

function traceOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${traceOf(error.cause)}` : ""
  return `${error.stack ?? String(error)}${cause}`
}
