import { mkdir, mkdtemp, readFile, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "../../src/core/clock.ts"
import { codeOf } from "../../src/core/errors.ts"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { createActivator } from "../../src/rollout/activator.ts"
import { ALLOW_NOTHING, type RolloutAllow } from "../../src/rollout/allowing.ts"
import { programRunner } from "../../src/rollout/bounded-program.ts"
import { MemoryActivator } from "../../src/rollout/memory-activator.ts"
import type { Activation } from "../../src/rollout/plan.ts"
import { openedRelease, releaseAt } from "../support/opened-release.ts"
import { type ActivatorWorld, testActivator } from "./activator.ts"

async function memoryWorld(activation: Activation): Promise<ActivatorWorld> {
  const activator = new MemoryActivator(new VirtualClock())
  const refused: Activation = { kind: "files", path: "/etc/passwd" }
  activator.refuse(refused)
  activator.will("acme/model@9", "failed")
  const target = async (sequence: number) => releaseAt(`/opened/${sequence}`, sequence)
  return {
    ...{ activator, activation, refused, target },
    failing: () => target(9),
    async seen() {
      const release = activator.running(activation)
      return release === undefined ? undefined : Number(release.split("@")[1])
    },
    close: async () => {},
  }
}

/** An activator on this machine; `place` is a folder for what is activated. */
async function machineWorld(
  world: (
    place: string,
  ) => Pick<ActivatorWorld, "activation" | "refused"> & { allow: Partial<RolloutAllow> },
  failing: (opened: string) => ReturnType<ActivatorWorld["failing"]>,
): Promise<ActivatorWorld> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "sealift-activator-")))
  const [place, opened] = [join(root, "place"), join(root, "opened")]
  await mkdir(place)
  const { allow, activation, refused } = world(place)
  const activator = createActivator({
    node: "12D3KooWNode",
    clock: systemClock,
    allow: () => ({ ...ALLOW_NOTHING, ...allow }),
    openedFolder: opened,
    run: programRunner(systemClock, process.env),
  })
  return {
    ...{ activator, activation, refused },
    target: (sequence) => openedRelease(opened, sequence),
    failing: () => failing(opened),
    async seen() {
      try {
        return Number(await readFile(join(place, "current/sequence"), "utf8"))
      } catch (error) {
        if (codeOf(error) === "ENOENT") return undefined
        throw error
      }
    },
    close: () => rm(root, { recursive: true }),
  }
}

const FILES: Activation = { kind: "files", path: "/srv/models/current" }
const COPY = 'rm -rf "$0" && cp -r "$1" "$0"'

testActivator("the twin of links", () => memoryWorld(FILES), { canTell: true })

testActivator(
  "the twin of programs",
  () => memoryWorld({ kind: "exec", argv: ["/bin/true"], timeoutMs: 1_000 }),
  { canTell: false },
)

testActivator(
  "activating by a link",
  () =>
    machineWorld(
      (place) => ({
        allow: { files: [place] },
        activation: { kind: "files", path: join(place, "current") },
        refused: { kind: "files", path: `${place}-elsewhere` },
      }),
      async (opened) => releaseAt(join(opened, "not there"), 9),
    ),
  { canTell: true },
)

for (const kind of ["exec", "listed"] as const) {
  testActivator(
    `activating by a program (${kind})`,
    () =>
      machineWorld(
        (place) => {
          const argv = ["/bin/sh", "-c", COPY, join(place, "current"), `\${path}`]
          const isNamed = kind === "exec"
          return {
            allow: isNamed ? { exec: "plan" } : { exec: "listed", listed: { copy: argv } },
            activation: isNamed
              ? { kind, argv, timeoutMs: 20_000 }
              : { kind, name: "copy", timeoutMs: 20_000 },
            refused: { kind: "listed", name: "remove", timeoutMs: 20_000 },
          }
        },
        async (opened) => releaseAt(join(opened, "not there"), 9),
      ),
    { canTell: false },
  )
}
