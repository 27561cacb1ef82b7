/** What a call fails with: its code, so that a test compares it with the one that a page names. */

export interface Refusal {
  readonly code: string
  readonly details?: unknown
}

/** Gives `ok`, or the code of what was thrown; anything without a code fails the test as itself. */
export async function codeOf(run: () => unknown): Promise<string> {
  return (await refusalOf(run)).code
}

export async function refusalOf(run: () => unknown): Promise<Refusal> {
  try {
    await run()
    return { code: "ok" }
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "string") {
      return error as Error & Refusal
    }
    throw error
  }
}
