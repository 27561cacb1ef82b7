/**
 * A plan by flags: each stands for a key of the plan's file, and what it says is read as YAML, as there.
 * @module
 */
import type { Command } from "commander"
import { CliError } from "../../cli/errors.ts"
import { readLocalFile } from "../../cli/local-file.ts"
import { collect, listOf } from "../../cli/option.ts"
import { PLAN_FILE_BYTES_MAX, parsePlanDocument } from "../../daemon/plan-document.ts"

type Values = Readonly<Record<string, unknown>>

interface PlanFlag {
  readonly flag: string
  readonly value: string
  readonly about: string
  /** The place in the plan's file: a key, or a key within a table. */
  readonly key: readonly [key: string, within?: string]
  /** A list, of which each use of the flag is one. */
  readonly isList?: true
  /** A table, whose outer braces may be left out. */
  readonly isTable?: true
}

const FLAGS: readonly PlanFlag[] = [
  { flag: "--rollout", value: "<name>", about: "its name", key: ["rollout"] },
  {
    flag: "--release",
    value: "<ref>",
    about: "NAMESPACE/NAME@VERSION; repeatable, in their order",
    key: ["releases"],
    isList: true,
  },
  {
    flag: "--wave",
    value: "<table>",
    about: "as in a file: 'name: canary, nodes: { group: edge, count: 1 }, soak: 5m'; repeatable",
    key: ["waves"],
    isList: true,
    isTable: true,
  },
  { flag: "--channel", value: "<name>", about: "what it replaces plans of", key: ["channel"] },
  { flag: "--controller", value: "<peer>", about: "the node that decides", key: ["controller"] },
  {
    flag: "--success",
    value: "<percent>",
    about: "nodes of a wave that make it good",
    key: ["success", "threshold"],
  },
  {
    flag: "--min-sample",
    value: "<count>",
    about: "of so many reports at least",
    key: ["success", "minSample"],
  },
  { flag: "--error", value: "<percent>", about: "that stop it", key: ["error", "threshold"] },
  {
    flag: "--on-error",
    value: "<action>",
    about: "pause, abort or abort+rollback",
    key: ["error", "action"],
  },
  {
    flag: "--report-deadline",
    value: "<time>",
    about: "who says nothing until then is silent",
    key: ["reportDeadline"],
  },
  { flag: "--silence", value: "<rule>", about: "what silence counts as", key: ["silence"] },
  {
    flag: "--window",
    value: "<table>",
    about: `'from: "01:00", to: "05:00", days: [sat, sun]'`,
    key: ["window"],
    isTable: true,
  },
  {
    flag: "--activate",
    value: "<table>",
    about: "'files: { path: /srv/models/current }'",
    key: ["activate"],
    isTable: true,
  },
  {
    flag: "--probe",
    value: "<table>",
    about: "'exec: [/usr/bin/test, -s, /srv/models/current/weights.bin], retries: 3'",
    key: ["probe"],
    isTable: true,
  },
  {
    flag: "--on-no-rollback",
    value: "<rule>",
    about: "what becomes of a node with nothing to go back to",
    key: ["onNoRollback"],
  },
  { flag: "--expires", value: "<time>", about: "how long the plan counts", key: ["expires"] },
]

/** Adds the flags of a plan to a command. */
export function definePlanFlags(command: Command): Command {
  for (const { flag, value, about, isList } of FLAGS) {
    if (isList === true) command.option(`${flag} ${value}`, about, collect)
    else command.option(`${flag} ${value}`, about)
  }
  return command
}

/**
 * Reads a plan from a file, from flags, or from both: then a flag stands in place of what the file says.
 * @param path - of the file; undefined without one
 * @returns what the control API takes; whether it is right, the node says
 * @throws CliError `USAGE_INVALID` when there is neither
 * @throws RolloutError `PLAN_INVALID` for what is no YAML
 */
export async function readPlan(path: string | undefined, options: Values): Promise<Values> {
  const given = FLAGS.filter(({ flag }) => options[optionName(flag)] !== undefined)
  if (path === undefined && given.length === 0) {
    throw new CliError(
      "USAGE_INVALID",
      "name the plan's file, or give --rollout, --release, --wave",
    )
  }
  const plan: Record<string, unknown> = { ...(path === undefined ? {} : await readFile(path)) }
  for (const one of given) {
    const [key, within] = one.key
    const value = givenValue(one, options[optionName(one.flag)])
    plan[key] = within === undefined ? value : { ...tableOf(plan[key]), [within]: value }
  }
  return plan
}

async function readFile(path: string): Promise<Values> {
  const bytes = await readLocalFile(path, PLAN_FILE_BYTES_MAX)
  return parsePlanDocument(path, Buffer.from(bytes).toString("utf8"))
}

function givenValue(one: PlanFlag, option: unknown): unknown {
  if (one.isList === true) return listOf(option).map((text) => yamlOf(one, text))
  return yamlOf(one, String(option))
}

/** The value in a line of its own, so that it is read as it would be in a file. */
function yamlOf({ flag, isTable }: PlanFlag, text: string): unknown {
  const isBare = isTable === true && !text.trimStart().startsWith("{")
  return parsePlanDocument(flag, `value: ${isBare ? `{ ${text} }` : text}`).value
}

/** What stands there is the node's to refuse; only a table can be added to. */
function tableOf(value: unknown): Values {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
}

/** The name under which commander gives an option. */
function optionName(flag: string): string {
  return flag.slice(2).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
