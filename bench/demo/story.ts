/**
 * How the demo speaks: numbered steps with their time, and tables below them.
 * @module
 */
import { styleText } from "node:util"
import { type Align, renderTable, showSeconds } from "../table.ts"

const INDENT = "   "
const TIME_COLUMN = 76

/** Prints what happens, step by step. */
export class Story {
  #step = 0

  title(text: string): void {
    process.stdout.write(`\n${styleText("bold", text)}\n`)
  }

  /** Does one step and prints it with the time it took. */
  async step<T>(text: string, work: () => Promise<T>): Promise<T> {
    const startMs = performance.now()
    const result = await work()
    const time = showSeconds((performance.now() - startMs) / 1000)
    const head = `${++this.#step}  ${text}`
    process.stdout.write(`\n${head.padEnd(TIME_COLUMN)} ${styleText("dim", time.padStart(7))}\n`)
    return result
  }

  say(text: string): void {
    for (const line of text.split("\n")) process.stdout.write(`${INDENT}${line}\n`)
  }

  table(
    heading: readonly string[],
    rows: readonly (readonly string[])[],
    align: readonly Align[],
  ): void {
    this.say(renderTable(heading, rows, align))
  }
}
