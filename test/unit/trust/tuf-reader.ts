/** A reader of a test's repository, with its files in memory and its clock in the test's hand. */
import { fleetRules } from "../../../src/trust/tuf/fleet-rules.ts"
import { joinFleet } from "../../../src/trust/tuf/joining.ts"
import { type MemoryFiles, memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { TufClient } from "../../../src/trust/tuf/tuf-client.ts"
import type { TufFiles, TufSource } from "../../../src/trust/tuf/tuf-source.ts"
import type { TufRepository } from "../../support/tuf-repository.ts"

/** A source of what a repository has published, at each time. */
export function sourceOf({ files }: Pick<TufRepository, "files">): TufSource {
  return { read: async (name) => files.get(name) }
}

/** The code with which something fails; undefined when it does not. */
export async function codeOfFault(run: Promise<unknown>): Promise<unknown> {
  try {
    await run
    return undefined
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
}

/** A reader that has joined the repository's fleet. */
export class TestReader {
  readonly repository: TufRepository
  readonly source: TufSource
  readonly files: TufFiles
  client!: TufClient

  static async join(
    repository: TufRepository,
    files: TufFiles = memoryFiles(),
  ): Promise<TestReader> {
    const reader = new TestReader(repository, files)
    const rules = fleetRules(repository.fleet)
    await joinFleet(reader.source, { files, rules })
    await reader.restart()
    return reader
  }

  constructor(repository: TufRepository, files: TufFiles) {
    this.repository = repository
    this.files = files
    this.source = sourceOf(repository)
  }

  get memory(): MemoryFiles {
    return this.files as MemoryFiles
  }

  /** Opens what is kept, as after a restart. */
  async restart(): Promise<void> {
    const rules = fleetRules(this.repository.fleet)
    const nowMs = () => this.repository.nowMs
    this.client = await TufClient.open({ files: this.files, rules, nowMs })
  }

  refresh(): Promise<void> {
    return this.client.refresh(this.source)
  }

  /** The text of a target file; undefined when nobody has signed it. */
  async text(path: string): Promise<string | undefined> {
    const target = await this.client.read(path, this.source)
    return target === undefined ? undefined : Buffer.from(target.bytes).toString()
  }

  /** The accepted version of a role's file. */
  version(role: string): number | undefined {
    return this.client.accepted?.get(role)?.used?.metadata.signed.version
  }

  /** The code with which a refresh fails; undefined when it does not. */
  refreshFault(): Promise<unknown> {
    return codeOfFault(this.refresh())
  }
}
