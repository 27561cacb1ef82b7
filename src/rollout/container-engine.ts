/**
 * The port to a program that keeps images and runs containers (adapters: `podman-engine.ts` for podman
 * and Docker, `ctr-engine.ts` for containerd).
 * @module
 */
import { createHash } from "node:crypto"
import { isName } from "../core/name.ts"
import type { ContainerRule } from "./allowing.ts"
import type { ImageLayout } from "./image-layout.ts"

/** A container, as its runtime has it. */
export interface ContainerState {
  readonly isRunning: boolean
  /** What its own check says, such as `healthy` or `starting`; undefined without one. */
  readonly health: string | undefined
  /** Digests by which the runtime names its image. */
  readonly images: readonly string[]
}

/** One runtime; all calls together last no longer than it was made for. */
export interface ContainerEngine {
  /**
   * Brings an image into the store, and makes it the one that a container's name stands for.
   * @returns what `start` takes
   * @throws {@link RolloutError} `ACTIVATION_FAILED`, as all of these
   */
  bring(layout: ImageLayout, container: string): Promise<string>
  /** Starts a container that is not there yet. */
  start(container: string, image: string, rule: ContainerRule): Promise<void>
  /** Stops and removes a container; no fault when there is none. */
  remove(container: string): Promise<void>
  /** @returns undefined when there is none */
  inspect(container: string): Promise<ContainerState | undefined>
}

/** Time a container has to end by itself before it is killed, milliseconds. */
export const STOP_GRACE_MS = 10_000

/** Gives the name under which a container's image is in its runtime's store: what a unit may name. */
export function imageNameOf(container: string): string {
  // A unit may have capitals and `@`, of which no name of an image is made.
  const part = isName(container) ? container : createHash("sha256").update(container).digest("hex")
  return `localhost/sealift/${part}:current`
}
