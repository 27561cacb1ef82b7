/**
 * What a command prints: text or JSON on standard output, progress on standard error.
 * @module
 */

/** Where text goes; `process.stdout` and `process.stderr` fit. */
export interface TextSink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export interface OutputOptions {
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly isJson: boolean
  readonly isQuiet: boolean
}

/** The output of one command. */
export class Output {
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly isJson: boolean
  readonly isQuiet: boolean

  constructor(options: OutputOptions) {
    this.stdout = options.stdout
    this.stderr = options.stderr
    this.isJson = options.isJson
    this.isQuiet = options.isQuiet
  }

  /** Prints a result: the value as one line of JSON, or the text; with `--quiet` nothing but JSON. */
  result(value: unknown, text: () => string): void {
    if (this.isJson) this.stdout.write(`${JSON.stringify(value)}\n`)
    else if (!this.isQuiet) this.#print(text())
  }

  /** Prints what a script would ask for (an id, a digest) even with `--quiet`. */
  answer(value: unknown, text: string): void {
    if (this.isJson) this.stdout.write(`${JSON.stringify(value)}\n`)
    else this.#print(text)
  }

  /** Says something in passing, on standard error. */
  note(text: string): void {
    if (!this.isJson && !this.isQuiet) this.stderr.write(`${text}\n`)
  }

  #print(text: string): void {
    if (text !== "") this.stdout.write(text.endsWith("\n") ? text : `${text}\n`)
  }
}

/** Sets rows in columns; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    }
  }
  const lines = rows.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index]!)))
      .join("  ")
      .trimEnd(),
  )
  return lines.join("\n")
}
